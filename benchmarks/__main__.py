"""Runs each benchmark as a process of its own and passes its exit status on."""

from __future__ import annotations

import subprocess
import sys

ALL = (
    "round_overhead",
    "sandbox",
    "private_training",
    "private_auc",
    "admission",
    "ledger_error",
    "algorithms",
    "anchors",
    "codecs",
    "secure_aggregation",
    "large_model",
    "many_sites",
    "free_riders",
)


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"There is no benchmark {', '.join(unknown)}. There are: {', '.join(ALL)}.", file=sys.stderr)
        return 2
    failed = [name for name in names or ALL if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"]).returncode]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
