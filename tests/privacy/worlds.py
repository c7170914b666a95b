"""Two worlds, one with a patient and one without, and what a fixed test says in many independent runs of each.

Here the evaluation: one test patient with many encounters, all of whom score in the highest bin. The attacker knows
everybody else, and asks whether the noisy count there is nearer to what it is with this patient.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from torch import nn

from datasites.training.private.study import TrustedStudy
from datasites.wire.preparation import NumberInput, Preparation, Target
from datasites.wire.training import HISTOGRAM, Evaluation, Optimizer, Training
from policies.privacy.accounting import epsilon
from researcher.tracing import trace
from tests.privacy.bounds import two_worlds
from tests.privacy.canaries import DELTA, of_the_test

RUNS, OTHERS, ENCOUNTERS, NOISE = 400, 30, 24, 4.0
_STATE = {"weight": np.full((1, 1), 3.0, np.float32)}


def evaluation() -> Training:
    """One number predicts; the histogram has four bins, and counts one encounter a patient."""
    return Training(
        graph=trace(nn.Linear(1, 1, bias=False), 1),
        preparation=Preparation(inputs=(NumberInput(column="x"),), target=Target(column="y")),
        optimizer=Optimizer(learning_rate=0.1),
        steps=1,
        sampling_rate=0.5,
        expected_lot=10.0,
        clip=1.0,
        noise_multiplier=4.0,
        encounters=1,
        evaluation=Evaluation(edges=(0.1, 0.5, 0.9), noise_multiplier=NOISE),
    )


def audit(asked: Training) -> tuple[float, float]:
    """(claimed, empirical) epsilon of one evaluation."""
    halves = {there: _counts(asked, there) for there in (True, False)}
    # the test is made with one half of the runs and tried on the other, or it would fit their noise
    place = threshold(halves[True][::2], halves[False][::2])
    said = {there: values[1::2] > place for there, values in halves.items()}
    return epsilon(asked.events(fit=False, evaluate=True), DELTA), two_worlds(said[True], said[False], DELTA)


def _counts(asked: Training, there: bool) -> np.ndarray:
    """The count of the bin in which the patient is, by run."""
    study = TrustedStudy(asked, _table(there))
    return np.array([study.evaluate(_STATE)[1][HISTOGRAM][1, -1] for _ in range(2 * RUNS)])


def threshold(present: np.ndarray, absent: np.ndarray) -> float:
    """Where these runs prove most."""
    places = np.unique(np.concatenate([present, absent]))[:-1]
    proved = [two_worlds(present > one, absent > one, DELTA) for one in places]
    best = np.flatnonzero(np.asarray(proved) == max(proved))
    return float(places[best[len(best) // 2]])


def _table(there: bool) -> pd.DataFrame:
    numbers = of_the_test(OTHERS + 1)
    rng = np.random.default_rng(0)
    others = pd.DataFrame({"x": rng.normal(size=OTHERS), "y": rng.integers(0, 2, OTHERS), "patient": numbers[1:]})
    patient = pd.DataFrame({"x": [4.0] * ENCOUNTERS, "y": 1, "patient": numbers[0]})
    return pd.concat([patient, others], ignore_index=True) if there else others
