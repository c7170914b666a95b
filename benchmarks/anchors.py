"""What a start on synthetic patients, or several models, bring in the first rounds: the numbers of docs/anchors.md.

    python -m benchmarks anchors                      # DATA=path/to/diabetic_data.csv.gz for another place

The splits, network and local steps of `benchmarks.algorithms`. Prints a RESULT of one JSON for each split and method:
the mean over hospitals and seeds of the test AUC before training and after 1 and 4 rounds,
with `_deviation` over seeds. The noise of anchors is drawn anew at each run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import algorithms, grouped
from benchmarks.topologies import Problem, Travel
from datasites.wire.arrays import Arrays
from notebooks.readmission.uci import TARGET

SEEDS, ROUNDS = 3, 4
SPLITS = (algorithms.SPLITS[0], algorithms.SKEWED)
_ANCHORS = [(around, epsilon) for around in (TARGET, None) for epsilon in (0.3, 1.0, 3.0)]
Start = Callable[[Problem], Arrays]


def _pretrained(around: str | None, epsilon: float) -> Start:
    return lambda problem: grouped.pretrained(problem, epsilon, around)


METHODS: dict[str, tuple[Start, Callable[[Arrays], Travel]]] = {
    "FedAvg": (grouped.initial, grouped.averaged),
    "IFCA, 2 models": (grouped.initial, lambda _: grouped.ifca(2)),
} | {
    f"anchor {'around the outcome' if a else 'of all pairs'}, epsilon {e:g}": (_pretrained(a, e), grouped.averaged)
    for a, e in _ANCHORS
}


def main() -> int:
    """Returns the exit status: 0 also where there is no table to run on."""
    if not algorithms.DATA.is_file():
        print(f"Skipped: the real readmission table is not at {algorithms.DATA}. Give its place with DATA=...")
        return 0
    algorithms.load_once()
    for split in SPLITS:
        problems = [algorithms.problem_of(split, seed) for seed in range(SEEDS)]
        for method, (start, travel) in METHODS.items():
            aucs = np.array([_aucs(problem, start, travel) for problem in problems])
            told: dict[str, Any] = {"split": split, "method": method}
            for number, values in zip((0, 1, ROUNDS), aucs.T, strict=True):
                told[f"auc_{number}"] = round(float(values.mean()), 4)
                told[f"auc_{number}_deviation"] = round(float(values.std(ddof=1)), 4)
            print("RESULT " + json.dumps(told), flush=True)
    return 0


def _aucs(problem: algorithms.Problem, start: Start, travel: Callable[[Arrays], Travel]) -> list[float]:
    """Means over hospitals: of the state to begin with, after a round, and after all."""
    state = start(problem)
    models = [dict.fromkeys(problem.tables, state), *(models for models, _ in travel(state)(problem, ROUNDS))]
    return [float(np.mean(algorithms.aucs(problem, models[number]))) for number in (0, 1, ROUNDS)]


if __name__ == "__main__":
    sys.exit(main())
