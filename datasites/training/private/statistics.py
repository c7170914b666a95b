"""The hospital's own counting: sums over patients, each bounded, with noise.

Means, shares and bands that a researcher works out of them (`researcher.private_statistics`) are post-processing.
"""

from __future__ import annotations

from typing import Literal, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from datasites.training.prepare import Rows, numbers_of
from datasites.training.private.patients import Patients
from datasites.training.private.randomness import SecureRandom, noisy_sum
from datasites.training.private.shared_noise import shared_sum
from datasites.wire.arrays import Arrays
from datasites.wire.dictionary_rules import PATIENT
from datasites.wire.statistics import STATISTICS, Statistics
from policies.errors import InvalidInput
from policies.privacy.sharing import Sharing


def released(
    patients: Patients, asked: Statistics, random: SecureRandom, sharing: Sharing | None = None
) -> NDArray[np.float64]:
    """The row of numbers [width] with its noise, or this hospital's share of it; some counts come out below 0."""
    total = summed(patients, random)
    if sharing:
        return shared_sum(total, asked.sensitivity, asked.noise_multiplier, sharing, asked.grid)
    return noisy_sum(total, asked.sensitivity, asked.noise_multiplier, random)


def summed(patients: Patients, random: SecureRandom) -> NDArray[np.float64]:
    """The sums as they are: not to leave the hospital."""
    sums = [lot.inputs.sum(axis=(0, 1), dtype=np.float64) for lot in patients.draw(1.0, random)]
    total: NDArray[np.float64] = np.stack(sums).sum(axis=0)
    return total


def counted(view: pd.DataFrame, asked: Statistics) -> Rows:
    """What each encounter adds: 1, and its columns' numbers."""
    inputs = np.column_stack([np.ones(len(view)), numbers_of(view, asked.inputs)]).astype(np.float32)
    return Rows(inputs, np.zeros(len(view), np.float32), view[PATIENT].to_numpy(np.int64))


class TrustedStatistics:
    """Answers as `TrustedStudy` does. Every call has noise of its own: answer only once.

    All patients count, those too whom training leaves to the test: the ledger charges every event to everybody.
    """

    def __init__(self, asked: Statistics, view: pd.DataFrame, sharing: Sharing | None = None) -> None:
        self._asked, self._sharing = asked, sharing
        self._patients = Patients(counted(view, asked), asked.encounters)

    @property
    def tasks(self) -> tuple[Literal["evaluate"], ...]:
        """What it can be asked for."""
        return ("evaluate",)

    def fit(self, parameters: Arrays) -> NoReturn:
        raise InvalidInput("A study that only counts trains nothing.")

    def evaluate(self, parameters: Arrays) -> tuple[int, dict[str, NDArray[np.float64]]]:
        """(1, the row): how many encounters there are is told with noise alone."""
        return 1, {STATISTICS: released(self._patients, self._asked, SecureRandom.fresh(), self._sharing)}
