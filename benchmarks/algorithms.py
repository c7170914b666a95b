"""Which method learns best from hospitals that differ: every one on the real readmission table.

    python -m benchmarks algorithms                   # DATA=path/to/diabetic_data.csv.gz for another place

The demo's study with its network, and the ready studies of linear models and of trees, run in this process: `fit` and
`evaluate` at each hospital and the researcher's own strategies, as in a federation but for the messages. Four splits:
3, 5 and 20 proxy hospitals, and 5 hospitals whose shares of readmitted and other patients are drawn from a Dirichlet
distribution (Hsu et al., 2019), where FedAvg suffers. Local steps are limited, so that every hospital takes as many a
round (scikit-learn's linear model goes once through its rows, and a tree sees all of them).

Prints a RESULT of one JSON for each split and method, means over seeds of: `mean_auc` and `worst_auc` over hospitals'
test patients after the last round, with `_deviation` over seeds; `rounds` until the mean AUC has 99% of the best that
any method had on that split and seed (null where a seed never had it); `bytes` to and from all hospitals until then;
`own_rounds` and `own_bytes` the same until 99% of the method's own best.
Makes docs/algorithms.png and docs/algorithms.md. Seeds change the first model, the order of rows and, in the
Dirichlet split, the hospitals.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from inspect import signature
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from benchmarks import grouped, own_models, topologies
from benchmarks.algorithms_report import write
from datasites.catalog.validate import conform
from datasites.catalog.view import study_view
from datasites.wire.arrays import Arrays, nbytes
from datasites.wire.dictionary import Dictionary
from notebooks.demo.__main__ import SPLIT_SEED
from notebooks.demo.hospitals import PSEUDONYM_KEY
from notebooks.readmission.uci import PATIENT, SITE_COLUMNS, TARGET, load, split_sites
from researcher.strategies import (
    Bagging,
    FedAdagrad,
    FedAdam,
    FedAvg,
    FedAvgM,
    FedYogi,
    Median,
    MultiKrum,
    Scaffold,
    Strategy,
    TrimmedMean,
    Update,
)
from researcher.topology import Exponential, Ring
from tests.support.studies import modules_of

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "notebooks" / "readmission"
DATA = Path(os.environ.get("DATA", ROOT.parent / "shared" / "data" / "diabetic_data.csv.gz"))
SEEDS, ROUNDS, STEPS = 3, 8, 100
ALPHA, LEAST_POSITIVES = 0.3, 40  # of the Dirichlet split
SKEWED = "5, label-skewed"
SPLITS = ("3 hospitals", "5 hospitals", "20 hospitals", SKEWED)


@dataclass(frozen=True)
class Problem:
    """One split's hospitals, as their own workers see their tables, and the study's config."""

    study: Any
    tables: dict[str, pd.DataFrame]
    config: dict[str, Any]


@dataclass(frozen=True)
class Round:
    """After one round of a method: each hospital's test AUC of the model it would use, and bytes both ways."""

    aucs: list[float]
    bytes: int


Method = Callable[[Problem], Iterator[Round]]


def averaging(strategy: Strategy, **config: Any) -> Method:
    """The rounds of `researcher.Rounds` with a strategy, and with more in the study's config."""

    def run(problem: Problem) -> Iterator[Round]:
        state, memory = problem.study.initialize({**problem.config, "round": 0}), {}
        for number in range(1, ROUNDS + 1):
            aggregation = strategy.begin(state, memory)
            for hospital, table in problem.tables.items():
                settings = {**problem.config, **config, "round": number}
                trained, examples, _ = problem.study.fit(state, table, settings)
                aggregation.add(Update(hospital, trained, examples))
            state, memory = aggregation.result()
            yield Round(aucs(problem, dict.fromkeys(problem.tables, state)), 2 * nbytes(state) * len(problem.tables))

    return run


def travelling(travel: topologies.Travel) -> Method:
    """The rounds of another topology."""

    def run(problem: Problem) -> Iterator[Round]:
        for models, sent in travel(problem, ROUNDS):
            yield Round(aucs(problem, models), sent)

    return run


def ready(folder: str, method: Method, **config: Any) -> Method:
    """A method on another ready study's code, with more in its config."""

    def run(problem: Problem) -> Iterator[Round]:
        with modules_of(STUDY / folder) as modules:
            yield from method(replace(problem, study=modules.study, config={**problem.config, **config}))

    return run


def boosted(problem: Problem) -> Iterator[Round]:
    """With a place for a tree of each hospital in each round."""
    yield from ready("frameworks/trees", averaging(Bagging()), places=len(problem.tables) * ROUNDS)(problem)


_META = {"adapt_rate": 0.2, "meta_rate": 0.2}
# A further method is one line: a name, and a function that runs its rounds on a Problem.
METHODS: dict[str, Method] = {
    "Each alone": travelling(own_models.alone),
    "All pooled": travelling(own_models.pooled),
    "FedAvg": averaging(FedAvg()),
    "FedAvg, a quarter of the steps": averaging(FedAvg(), max_batches=STEPS // 4),
    "FedAvgM": averaging(FedAvgM(momentum=0.5)),
    "FedAdam": averaging(FedAdam(learning_rate=0.02)),
    "FedYogi": averaging(FedYogi(learning_rate=0.02)),
    "FedAdagrad": averaging(FedAdagrad(learning_rate=0.03)),
    "Median": averaging(Median()),
    "TrimmedMean": averaging(TrimmedMean(0.34)),
    "MultiKrum": averaging(MultiKrum(0)),
    "FedProx": averaging(FedAvg(), proximal_mu=0.1),
    "SCAFFOLD": ready("scaffold", travelling(own_models.keeping(Scaffold)), learning_rate=0.2),
    "Per-FedAvg, first-order": ready("personal/per_fedavg", averaging(FedAvg()), **_META),
    "Per-FedAvg, Hessian-free": ready("personal/per_fedavg", averaging(FedAvg()), hessian_free=True, **_META),
    "Fine-tuning": ready("personal/fine_tuning", averaging(FedAvg()), tuning_epochs=1),
    "Shared body, own head": ready(
        "personal/private_head", travelling(own_models.keeping(lambda hospitals: FedAvg(), personal=True))
    ),
    "Clustered": travelling(own_models.clustered),
    "FedBuff": travelling(own_models.buffered(0.25)),
    "Hierarchical": travelling(topologies.hierarchical),
    "Gossip, ring": travelling(topologies.gossip(Ring())),
    "Gossip, exponential": travelling(topologies.gossip(Exponential())),
    "Cyclic": travelling(topologies.cyclic),
    "IFCA, 2 models": travelling(grouped.ifca(2)),
    "Anchor, epsilon 1": travelling(grouped.anchored(1.0, TARGET)),
    "Linear, NumPy": ready("frameworks/numpy_alone", averaging(FedAvg()), local_steps=STEPS),
    "Linear, scikit-learn": ready("frameworks/linear", averaging(FedAvg()), local_epochs=1, learning_rate=0.001),
    "Boosted trees": boosted,
}


def main() -> int:
    """Returns the exit status: 0 also where there is no table to run on."""
    if not DATA.is_file():
        print(f"Skipped: the real readmission table is not at {DATA}. Give its place with DATA=...")
        return 0
    jobs = [(split, seed, method) for split in SPLITS for seed in range(SEEDS) for method in METHODS]
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), load_once) as pool:
        runs = dict(zip(jobs, pool.map(_run, jobs, chunksize=len(METHODS)), strict=True))
    results = [_summary(runs, split, method) for split in SPLITS for method in METHODS]
    for result in results:
        print("RESULT " + json.dumps(result))
    write(results, ROOT / "docs")
    return 0


_frame: list[pd.DataFrame] = []
_study: list[Any] = []


def load_once() -> None:
    """Once a process: the table of all patients, and the study's code."""
    torch.set_num_threads(1)
    sys.path.insert(0, str(STUDY / "study"))
    import study

    _study.append(study)
    _frame.append(load(DATA))


def _run(job: tuple[str, int, str]) -> list[Round]:
    split, seed, method = job
    return list(METHODS[method](problem_of(split, seed)))


def problem_of(split: str, seed: int) -> Problem:
    """After `load_once`."""
    config = {"seed": seed, "split_seed": SPLIT_SEED, "local_epochs": 1000, "max_batches": STEPS}
    return Problem(_study[0], _tables(split, seed), config)


@lru_cache(maxsize=1)  # all methods of one split and seed come one after another
def _tables(split: str, seed: int) -> dict[str, pd.DataFrame]:
    """As the hospitals' own workers see them."""
    dictionary = Dictionary.load(STUDY / "dictionary.toml")
    tables = {}
    for hospital, table in _split(split, seed).items():
        conformed = conform(table.astype({dictionary.table.patient_key: str}), dictionary)
        tables[hospital] = study_view(conformed, dictionary, list(dictionary.columns), PSEUDONYM_KEY)
    return tables


def _split(split: str, seed: int) -> dict[str, pd.DataFrame]:
    if split == SKEWED:
        return dirichlet(_frame[0], 5, ALPHA, seed)
    return split_sites(_frame[0], int(split.split()[0]))


def dirichlet(frame: pd.DataFrame, n: int, alpha: float, seed: int) -> dict[str, pd.DataFrame]:
    """Whole patients at n hospitals: of each class (ever readmitted or not) every hospital has a share drawn from
    Dirichlet(alpha). Drawn again where a hospital has too few of a class to be tested on."""
    rng = np.random.default_rng(seed)
    ever = frame.groupby(PATIENT)[TARGET].max()
    while True:
        site = pd.Series(0, index=ever.index)
        for outcome in (0, 1):
            patients = ever.index[ever == outcome]
            site[patients] = rng.choice(n, len(patients), p=rng.dirichlet([alpha] * n))
        counts = pd.crosstab(site, ever)
        if counts.shape == (n, 2) and counts.to_numpy().min() >= LEAST_POSITIVES:
            break
    of_row, tables = frame[PATIENT].map(site), frame.drop(columns=SITE_COLUMNS)
    return {f"hospital-{i + 1}": tables[of_row == i].reset_index(drop=True) for i in range(n)}


def aucs(problem: Problem, states: dict[str, Arrays]) -> list[float]:
    """Each hospital's test AUC of its own state, where what a study keeps there is in already."""
    evaluate, config = problem.study.evaluate, {**problem.config, "round": 0}
    keeps = "kept" in signature(evaluate).parameters
    return [
        evaluate(states[hospital], table, config, *((states[hospital],) if keeps else ()))[1]["auc"]
        for hospital, table in problem.tables.items()
    ]


def _summary(runs: dict[tuple[str, int, str], list[Round]], split: str, method: str) -> dict[str, Any]:
    mine = [runs[split, seed, method] for seed in range(SEEDS)]
    best = [max(_means(runs[split, seed, one]).max() for one in METHODS) for seed in range(SEEDS)]
    rounds, sent = _until(mine, best)
    own_rounds, own_sent = _until(mine, [_means(run).max() for run in mine])
    means, worst = [_means(run)[-1] for run in mine], [min(run[-1].aucs) for run in mine]
    return {
        "split": split,
        "method": method,
        "mean_auc": round(float(np.mean(means)), 4),
        "mean_auc_deviation": round(float(np.std(means, ddof=1)), 4),
        "worst_auc": round(float(np.mean(worst)), 4),
        "worst_auc_deviation": round(float(np.std(worst, ddof=1)), 4),
        "rounds": rounds,
        "bytes": sent,
        "own_rounds": own_rounds,
        "own_bytes": own_sent,
        "curve": [round(float(auc), 4) for auc in np.mean([_means(run) for run in mine], axis=0)],
    }


def _means(run: list[Round]) -> NDArray[np.float64]:
    """Mean AUC over hospitals after each round."""
    return np.array([np.mean(one.aucs) for one in run])


def _until(mine: list[list[Round]], best: list[float]) -> tuple[float | None, int | None]:
    """(rounds, bytes) until 99% of the best AUC, means over seeds; None where a seed never has it."""
    needed = [
        next((n for n, auc in enumerate(_means(run), 1) if auc >= 0.99 * b), None)
        for run, b in zip(mine, best, strict=True)
    ]
    if None in needed:
        return None, None
    sent = [sum(one.bytes for one in run[:rounds]) for run, rounds in zip(mine, needed, strict=True)]
    return round(float(np.mean([n for n in needed if n])), 1), round(float(np.mean(sent)))


if __name__ == "__main__":
    sys.exit(main())
