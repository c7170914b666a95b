"""Flower 1.41 the way it was before 1.13: `start_server` and `start_client`, one process a hospital over gRPC streams.

Deprecated, and no deployment in today's sense: no app is sent, so each hospital installs the study by hand, and anyone
who reaches the port is a hospital. It is here because its processes stay, so it is the fastest that Flower has.

    python -m benchmarks.baseline.flower_legacy --rounds 20
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.baseline import workload
from benchmarks.baseline.flower_parts import LIMIT, environment, options, outcome, save_rows, wait_for_result
from benchmarks.baseline.flower_venv import ensure_venv
from benchmarks.baseline.processes import daemons, free_port, wait_for_port
from benchmarks.baseline.report import show
from benchmarks.baseline.workload import CONFIGS, HOSPITALS, STUDY, BaselineFailed, Outcome

SCRIPTS = Path(__file__).parent / "flower_legacy_app"


def measure(rounds: int, mode: str, limit: float = LIMIT) -> list[float]:
    """Seconds of each of `rounds` rounds but the first. mode: "one-batch" or "one-epoch" (which also evaluates)."""
    return run(rounds, mode, limit).seconds


def run(rounds: int, mode: str, limit: float = LIMIT) -> Outcome:
    """Like `measure`, with the averaged model's norm and AUC. Raises BaselineFailed, saying where it stopped."""
    workload.check(rounds, mode)
    binaries = ensure_venv() / "bin"
    deadline = time.monotonic() + limit
    python, address = str(binaries / "python"), f"127.0.0.1:{(port := free_port())}"
    with TemporaryDirectory(prefix="flower-") as name:
        folder = Path(name)
        rows = {hospital: save_rows(folder, hospital) for hospital in HOSPITALS}
        with daemons(folder, environment(folder, binaries)) as running:
            chosen = json.dumps(options(folder, rounds, mode))
            running.start("server", [python, str(SCRIPTS / "server.py"), address, str(STUDY), chosen])
            wait_for_port(port, running, deadline)
            for hospital, path in rows.items():
                arguments = [address, str(path), str(STUDY), json.dumps(CONFIGS[mode])]
                running.start(hospital, [python, str(SCRIPTS / "client.py"), *arguments])
            return outcome(wait_for_result(running, folder / "result.json", deadline))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="the first one warms up and is not timed")
    parser.add_argument("--mode", choices=[*CONFIGS], default="one-batch")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds after which it has failed")
    given = parser.parse_args()
    try:
        show({f"Flower 1.41 legacy, {given.mode}": run(given.rounds, given.mode, given.limit)})
    except BaselineFailed as failure:
        parser.exit(1, f"{failure}\n")


if __name__ == "__main__":
    main()
