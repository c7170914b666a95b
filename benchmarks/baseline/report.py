"""What a benchmark prints: a small table for people, and one RESULT line for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from statistics import mean, median

from benchmarks.baseline.workload import Outcome


def show(outcomes: Mapping[str, Outcome]) -> None:
    """One row per name, then `RESULT {json}` with seconds of every timed round."""
    print(
        f"{'system and mode':<36} {'rounds':>6} {'median s':>10} {'mean s':>10} {'min s':>10} {'max s':>10} {'AUC':>7}"
    )
    for name, outcome in outcomes.items():
        print(_row(name, outcome))
    print("RESULT " + json.dumps({name: _facts(outcome) for name, outcome in outcomes.items()}))


def _row(name: str, outcome: Outcome) -> str:
    seconds = outcome.seconds
    times = "".join(f" {value:>10.4f}" for value in (median(seconds), mean(seconds), min(seconds), max(seconds)))
    auc = "-" if outcome.auc is None else f"{outcome.auc:.4f}"
    return f"{name:<36} {len(seconds):>6}{times} {auc:>7}"


def _facts(outcome: Outcome) -> dict[str, object]:
    return {
        "median_s": round(median(outcome.seconds), 5),
        "seconds": [round(second, 5) for second in outcome.seconds],
        "norm": round(outcome.norm, 5),
        "auc": outcome.auc,
    }
