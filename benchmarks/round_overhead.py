"""What a round costs: Wardround over a folder and over S3, against bare processes and against Flower's deployment.

Three hospitals x 20,000 rows x 42 features, the readmission network; the same study code everywhere. With one batch a
round, next to nothing is trained, so the time beyond bare processes is the system's own. Flower is measured as its
documentation deploys it (a process per message), and in the deprecated mode that keeps clients but ships and approves
no code. `study_ratio` compares a whole
training study, from cold workers to the last evaluation, with the same in bare processes, start-up included.

    python -m benchmarks.round_overhead
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median

import researcher as wr
from benchmarks.baseline import bare, flower, flower_legacy
from benchmarks.federation import approved, federation
from researcher.progress import bar
from tests.support.s3 import serve_s3  # the same real S3 server as in the tests

ROUNDS = 100
STUDY_ROUNDS = 12
FLOWER_ROUNDS = 3
MOST_OVERHEAD_MS, LEAST_FLOWER_RATIO, MOST_STUDY_RATIO = 50, 100, 1.15


def main() -> int:
    """Returns the exit status: 0 when every aim is met."""
    with bar("round overhead", 6, shown=True) as advance_to:
        bare_rounds = bare.measure(ROUNDS, "one-batch")
        advance_to(1, "bare study")
        started = time.perf_counter()
        bare_auc = bare.run(STUDY_ROUNDS, "one-epoch").auc
        bare_study = time.perf_counter() - started
        advance_to(2, "folder")
        folder_rounds, study_seconds, auc = _folder()
        advance_to(4, "S3")
        s3_rounds = _s3()
        advance_to(5, "Flower (starts a process per message: a minute or two)")
        flower_rounds = flower.measure(FLOWER_ROUNDS, "one-batch")
        legacy_rounds = flower_legacy.measure(20, "one-batch")
        advance_to(6, "")
    bare_ms, folder_ms, s3_ms, flower_ms, legacy_ms = (
        1000 * median(rounds) for rounds in (bare_rounds, folder_rounds, s3_rounds, flower_rounds, legacy_rounds)
    )
    result = {
        "folder_ms": round(folder_ms - bare_ms, 2),
        "s3_ms": round(s3_ms - bare_ms, 2),
        "bare_ms": round(bare_ms, 2),
        "flower_ratio": round((flower_ms - bare_ms) / max(folder_ms - bare_ms, 0.01), 1),
        "flower_legacy_ms": round(legacy_ms - bare_ms, 2),
        "study_ratio": round(study_seconds / bare_study, 3),
        "last_to_first": round(median(folder_rounds[-20:]) / median(folder_rounds[:20]), 2),
        "auc_difference": round(abs((auc or 0) - (bare_auc or 0)), 5),
    }
    systems = {
        "bare processes": bare_ms,
        "Wardround, folder store": folder_ms,
        "Wardround, S3 store": s3_ms,
        "Flower 1.41, supported deployment": flower_ms,
        "Flower 1.41, start_server (deprecated)": legacy_ms,
    }
    _table(systems, bare_study, study_seconds)
    print("RESULT " + json.dumps(result))
    met = (
        result["folder_ms"] <= MOST_OVERHEAD_MS
        and result["flower_ratio"] >= LEAST_FLOWER_RATIO
        and result["study_ratio"] <= MOST_STUDY_RATIO
    )
    return 0 if met else 1


def _folder() -> tuple[list[float], float, float | None]:
    """(seconds of each one-batch round, seconds of a whole study, its AUC)."""
    with tempfile.TemporaryDirectory(prefix="wardround-bench-") as scratch:
        folder = Path(scratch)
        with federation(folder, f"file://{folder}/store", {}) as connected:
            rounds = _one_batch(connected, folder)
            submission = approved(connected, folder, "whole-study", "one-epoch", STUDY_ROUNDS)
            started = time.perf_counter()
            result = wr.Rounds(submission).run()
            return rounds, time.perf_counter() - started, result.federated_auc


def _s3() -> list[float]:
    with tempfile.TemporaryDirectory(prefix="wardround-bench-") as scratch, serve_s3(Path(scratch) / "s3") as s3:
        environment = {"WARDROUND_STORE_OPTIONS": json.dumps(s3.options)}
        with federation(Path(scratch), s3.url, environment) as connected:
            return _one_batch(connected, Path(scratch))


def _one_batch(connected: wr.Federation, folder: Path) -> list[float]:
    submission = approved(connected, folder, "one-batch", "one-batch", ROUNDS)
    moments: list[float] = []
    wr.Rounds(submission, evaluate=False).run(on_round=lambda _: moments.append(time.perf_counter()))
    return [later - earlier for earlier, later in pairwise(moments)]


def _table(systems: dict[str, float], bare_seconds: float, study_seconds: float) -> None:
    print(f"{'one batch a round':<40} {'ms a round':>12} {'overhead ms':>12}")
    for name, milliseconds in systems.items():
        print(f"{name:<40} {milliseconds:>12.1f} {milliseconds - systems['bare processes']:>12.1f}")
    print(f"whole study of {STUDY_ROUNDS} epochs: bare {bare_seconds:.1f} s, Wardround {study_seconds:.1f} s")


if __name__ == "__main__":
    sys.exit(main())
