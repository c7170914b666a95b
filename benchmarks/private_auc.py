"""What privacy costs in AUC: the private tier on the real readmission table, by epsilon. Makes docs/private-auc.png.

    python -m benchmarks private_auc                  # DATA=path/to/diabetic_data.csv.gz for another place

Three hospitals by payer class, each running the very training of the private tier (`datasites.training.private`), with
secure noise, patients as the unit, delta 1e-5. A logistic regression; its states are averaged as FedAvg does. Epsilon
is that of dp-accounting for all rounds together; what is tested is the exact AUC on the test patients, which only a
benchmark may see.

Patients and split are those of the demo; inputs are scaled by the public dictionary. Test AUCs move by 0.006 (standard
deviation) from one split of the patients to another, so the figures mean most beside that of the pooled model without
privacy on the same split.

The hyperparameters are chosen among `RECIPES` by the AUC on validation patients, a fifth of the training patients, on
whom those studies do not train; once for much noise (at epsilon 1) and once for little (at epsilon 3). The test
patients are looked at when all is chosen. At a hospital the choice is a release too: choose on other data, or pay.
Noise is drawn from ChaCha20 under keys made of stage, epsilon and seed, so that the figures come out again.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from concurrent.futures import Executor, ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import nn

from datasites.catalog.validate import conform
from datasites.catalog.view import study_view
from datasites.training.prepare import Rows, prepare
from datasites.training.private.loop import train
from datasites.training.private.patients import Patients
from datasites.training.private.randomness import SecureRandom
from datasites.wire.dictionary import Dictionary
from datasites.wire.preparation import Preparation, Target, standard_inputs
from datasites.wire.training import Optimizer, Training
from notebooks.demo.__main__ import SPLIT_SEED
from notebooks.demo.hospitals import PSEUDONYM_KEY
from notebooks.readmission.uci import load, split_sites
from policies.privacy.accounting import epsilon as epsilon_of
from researcher import privacy
from researcher.tracing import trace

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "notebooks" / "readmission"
DATA = Path(os.environ.get("DATA", ROOT.parent / "shared" / "data" / "diabetic_data.csv.gz"))
PICTURE = ROOT / "docs" / "private-auc.png"
EPSILONS, SEEDS, DELTA = (0.1, 0.3, 1.0, 3.0, 10.0), 3, 1e-5
RATE, LOT, STEPS = 0.5, 9000.0, 50
NEEDED = {1.0: 0.665, 3.0: 0.668}
PRIOR = 0.1  # the dictionary's, of the outcome


class Recipe(NamedTuple):
    """What is chosen on validation patients."""

    rounds: int
    learning_rate: float
    clip: float


RECIPES = [Recipe(*one) for one in product((3, 4), (2.0, 4.0), (3.0, 5.0))]
CHOSEN_AT = (1.0, 3.0)  # what suits much noise does not suit little
CHOOSING_SEEDS = (100, 101)
ENCOUNTERS = 2
_training: list[Rows] = []  # by hospital, the validation patients among them
_validation: list[NDArray[np.bool_]] = []  # which of those rows are validation patients'
_test: list[Rows] = []


def main() -> int:
    """Returns the exit status: 0 when every AUC that is needed is reached."""
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), _load) as pool:
        chosen = {epsilon: _choose(pool, epsilon) for epsilon in CHOSEN_AT}
        recipes = {epsilon: chosen[CHOSEN_AT[epsilon > CHOSEN_AT[0]]] for epsilon in EPSILONS}
        pooled = pool.submit(_pooled)
        noises = {epsilon: _noise(recipe, epsilon) for epsilon, recipe in recipes.items()}
        jobs = [(recipes[e], e, noises[e], seed, True) for e in EPSILONS for seed in range(SEEDS)]
        found = list(pool.map(_federated, *zip(*jobs, strict=True)))
        reference = pooled.result()
    aucs = {e: found[at : at + SEEDS] for e, at in zip(EPSILONS, range(0, len(found), SEEDS), strict=True)}
    _draw(aucs, reference)
    means = {e: float(np.mean(values)) for e, values in aucs.items()}
    spent = {e: epsilon_of(_plan(recipes[e], noise).events, DELTA) for e, noise in noises.items()}
    result = {
        "auc": {f"{e:g}": round(mean, 4) for e, mean in means.items()},
        "auc_deviation": {f"{e:g}": round(float(np.std(values, ddof=1)), 4) for e, values in aucs.items()},
        "noise_multiplier": {f"{e:g}": noise for e, noise in noises.items()},
        "epsilon": {f"{e:g}": round(epsilon, 4) for e, epsilon in spent.items()},
        "recipes": {f"{e:g}": recipe._asdict() for e, recipe in recipes.items()},
        "pooled_without_privacy": round(reference, 4),
        "delta": DELTA,
        "seeds": SEEDS,
    }
    print("RESULT " + json.dumps(result))
    return 0 if all(means[e] >= least for e, least in NEEDED.items()) else 1


def _choose(pool: Executor, epsilon: float) -> Recipe:
    """The recipe of the best mean AUC on validation patients."""
    noises = {recipe: _noise(recipe, epsilon) for recipe in RECIPES}
    jobs = [(recipe, epsilon, noises[recipe], seed, False) for recipe in RECIPES for seed in CHOOSING_SEEDS]
    found = np.array(list(pool.map(_federated, *zip(*jobs, strict=True))))
    return RECIPES[int(found.reshape(len(RECIPES), -1).mean(1).argmax())]


def _noise(recipe: Recipe, epsilon: float) -> float:
    return privacy.noise_for(epsilon, DELTA, _plan(recipe, 1.0))


def _plan(recipe: Recipe, noise: float) -> privacy.Plan:
    return privacy.Plan.training(recipe.rounds, STEPS, RATE, noise)


def _load() -> None:
    """Once a process: every hospital's rows for training and for tests."""
    torch.set_num_threads(1)
    sys.path.insert(0, str(STUDY / "study"))
    import splits

    dictionary = Dictionary.load(STUDY / "dictionary.toml")
    for table in split_sites(load(DATA), 3).values():
        conformed = conform(table.astype({dictionary.table.patient_key: str}), dictionary)
        view = study_view(conformed, dictionary, list(dictionary.columns), PSEUDONYM_KEY)
        rows = prepare(view, _preparation())
        place = splits.place_of(rows.patients, SPLIT_SEED)
        _training.append(rows.of(place < 0.8))
        _validation.append(place[place < 0.8] >= 0.64)
        _test.append(rows.of(place >= 0.8))


def _preparation() -> Preparation:
    """All columns but the target as is usual for them, by the public dictionary alone."""
    dictionary = Dictionary.load(STUDY / "dictionary.toml")
    target = dictionary.table.target
    inputs = standard_inputs(dictionary, (name for name in dictionary.columns if name != target))
    return Preparation(inputs=inputs, target=Target(column=target))


def _federated(recipe: Recipe, epsilon: float, noise: float, seed: int, final: bool) -> float:
    """The AUC of one study from beginning to end: on validation patients, on whom it then did not train, or, where it
    is `final`, on test patients."""
    key = hashlib.sha256(f"private_auc {recipe} {epsilon:g} {seed} {final}".encode()).digest()
    random = SecureRandom(key)
    training = Training(
        graph=trace(nn.Linear(42, 1), 42),
        preparation=_preparation(),
        optimizer=Optimizer(learning_rate=recipe.learning_rate, average=1.0),
        steps=STEPS,
        sampling_rate=RATE,
        expected_lot=LOT,
        clip=recipe.clip,
        noise_multiplier=noise,
        encounters=ENCOUNTERS,
    )
    state = {
        "weight": np.zeros((1, 42), np.float32),
        "bias": np.full(1, math.log(PRIOR / (1 - PRIOR)), np.float32),  # a first guess that is public
    }
    held_out = [rows.of(mask) for rows, mask in zip(_training, _validation, strict=True)]
    learned = _training if final else [rows.of(~mask) for rows, mask in zip(_training, _validation, strict=True)]
    hospitals = [Patients(rows, ENCOUNTERS) for rows in learned]
    for _ in range(recipe.rounds):
        updates = [train(state, hospital, training, random) for hospital in hospitals]
        state = {name: np.mean([update[name] for update in updates], axis=0, dtype=np.float32) for name in state}
    inputs, targets = _joined(_test if final else held_out)
    return float(roc_auc_score(targets, inputs @ state["weight"][0]))


def _pooled() -> float:
    """The test AUC of one logistic regression on all hospitals' training rows, without privacy."""
    model = LogisticRegression(max_iter=1000)
    model.fit(*_joined(_training))
    inputs, targets = _joined(_test)
    return float(roc_auc_score(targets, model.decision_function(inputs)))


def _joined(tables: list[Rows]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([rows.inputs for rows in tables]), np.concatenate([rows.targets for rows in tables])


def _draw(aucs: dict[float, list[float]], reference: float) -> None:
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    means = [np.mean(values) for values in aucs.values()]
    spread = [np.std(values, ddof=1) for values in aucs.values()]
    axes.axhline(
        reference, color="#555555", linestyle="--", linewidth=1.3, label=f"pooled, no privacy: {reference:.3f}"
    )
    axes.errorbar(list(aucs), means, spread, color="#0072B2", marker="o", capsize=4, linewidth=1.8, label="3 hospitals")
    axes.set_xscale("log")
    axes.set_xticks(list(aucs), [f"{epsilon:g}" for epsilon in aucs])
    axes.minorticks_off()
    axes.set_xlabel(f"epsilon of each patient, at delta {DELTA:g} (less is more private)")
    axes.set_ylabel("area under the ROC curve, test patients")
    axes.set_title("Logistic regression in the private tier; bars: standard deviation of 3 runs", fontsize="medium")
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(PICTURE, dpi=130)


if __name__ == "__main__":
    sys.exit(main())
