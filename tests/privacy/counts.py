"""Private counts in two worlds: one patient with many encounters is there or not, the attacker knows everybody else.

The attacker adds up all that this patient moves, in the direction in which the patient moves it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from datasites.training.private.statistics import TrustedStatistics
from datasites.wire.preparation import CategoryInput, NumberInput
from datasites.wire.statistics import STATISTICS, Statistics
from policies.privacy.accounting import epsilon
from tests.privacy.bounds import two_worlds
from tests.privacy.canaries import DELTA
from tests.privacy.worlds import threshold

RUNS, OTHERS, ENCOUNTERS, NOISE = 400, 30, 24, 4.0
ASKED = Statistics(
    inputs=(
        NumberInput(column="age", center=50.0, scale=50.0, low=-1.0, high=1.0),
        CategoryInput(column="sex", categories=("female", "male")),
    ),
    noise_multiplier=NOISE,
)
_DIRECTION = np.array([1.0, 1.0, 0.0, 1.0])


def audit() -> tuple[float, float]:
    """(claimed, empirical) epsilon of one answer."""
    halves = {there: _heard(there) for there in (True, False)}
    place = threshold(halves[True][::2], halves[False][::2])
    said = {there: values[1::2] > place for there, values in halves.items()}
    return epsilon(ASKED.events(fit=False, evaluate=True), DELTA), two_worlds(said[True], said[False], DELTA)


def _heard(there: bool) -> np.ndarray:
    study = TrustedStatistics(ASKED, _table(there))
    return np.array([study.evaluate({})[1][STATISTICS] @ _DIRECTION for _ in range(2 * RUNS)])


def _table(there: bool) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    sexes = rng.choice(["female", "male"], OTHERS)
    others = pd.DataFrame({"age": rng.uniform(0, 100, OTHERS), "sex": sexes, "patient": range(OTHERS)})
    patient = pd.DataFrame({"age": [1e6] * ENCOUNTERS, "sex": "male", "patient": OTHERS})
    return pd.concat([others, patient], ignore_index=True) if there else others
