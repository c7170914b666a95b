"""Private marginals in two worlds: one patient with many encounters is there or not, the attacker knows everybody else.

The attacker adds up all cells that this patient is in.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from datasites.training.private.marginals import TrustedMarginals
from datasites.wire.marginals import Binned, Marginals
from datasites.wire.statistics import STATISTICS
from policies.privacy.accounting import epsilon
from tests.privacy.bounds import two_worlds
from tests.privacy.canaries import DELTA
from tests.privacy.worlds import threshold

RUNS, OTHERS, ENCOUNTERS, NOISE = 400, 30, 24, 4.0
ASKED = Marginals(
    inputs=(Binned(column="age", edges=(30.0, 60.0)), Binned(column="sex", categories=("female", "male"))),
    noise_multiplier=NOISE,
)
_DIRECTION = np.array([0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1])  # the oldest, male, and both


def audit() -> tuple[float, float]:
    """(claimed, empirical) epsilon of one answer."""
    halves = {there: _heard(there) for there in (True, False)}
    place = threshold(halves[True][::2], halves[False][::2])
    said = {there: values[1::2] > place for there, values in halves.items()}
    return epsilon(ASKED.events(fit=False, evaluate=True), DELTA), two_worlds(said[True], said[False], DELTA)


def _heard(there: bool) -> np.ndarray:
    study = TrustedMarginals(ASKED, _table(there))
    return np.array([study.evaluate({})[1][STATISTICS] @ _DIRECTION for _ in range(2 * RUNS)])


def _table(there: bool) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    sexes = rng.choice(["female", "male"], OTHERS)
    others = pd.DataFrame({"age": rng.uniform(0, 100, OTHERS), "sex": sexes, "patient": range(OTHERS)})
    patient = pd.DataFrame({"age": [1e6] * ENCOUNTERS, "sex": "male", "patient": OTHERS})
    return pd.concat([others, patient], ignore_index=True) if there else others
