"""The hospital's own counting of cells, and of pairs of cells, with noise: see `wire.marginals`.

No small cell is withheld: that a cell was withheld would itself tell of patients. The noise is what hides them.
"""

from __future__ import annotations

from typing import Literal, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from datasites.training.prepare import Rows
from datasites.training.private.patients import Patients
from datasites.training.private.randomness import SecureRandom, noisy_counts
from datasites.wire.arrays import Arrays
from datasites.wire.dictionary_rules import PATIENT
from datasites.wire.marginals import Binned, Marginals
from datasites.wire.statistics import STATISTICS
from policies.errors import InvalidInput

_ROWS = 4_096  # at once, however many encounters patients have: at most 64 MiB


def released(patients: Patients, asked: Marginals, random: SecureRandom) -> NDArray[np.int64]:
    """The row of counts [width] with its noise; some come out below 0."""
    return noisy_counts(tallied(patients, asked, random), asked.sensitivity, asked.noise_multiplier, random)


def tallied(patients: Patients, asked: Marginals, random: SecureRandom) -> NDArray[np.int64]:
    """The counts as they are: not to leave the hospital."""
    cells = [one.cells for one in asked.inputs]
    starts = np.cumsum([0, *cells])
    together = np.zeros((starts[-1], starts[-1]))  # how many encounters are in both of two cells
    for lot in patients.draw(1.0, random):
        present = lot.inputs[lot.present].astype(np.int64)
        for first in range(0, len(present), _ROWS):
            codes = present[first : first + _ROWS]
            ones = np.zeros((len(codes), starts[-1]))
            ones[np.arange(len(codes))[:, None], codes + starts[:-1]] = 1.0
            together += ones.T @ ones
    parts = [np.diag(together)]
    parts += [together[starts[i] : starts[i + 1], starts[j] : starts[j + 1]].ravel() for i, j in asked.pairs]
    found: NDArray[np.int64] = np.rint(np.concatenate(parts)).astype(np.int64)
    return found


def binned(view: pd.DataFrame, asked: Marginals) -> Rows:
    """Which cell of each column each encounter is in, by number."""
    codes = np.stack([_cells(view[one.column], one) for one in asked.inputs], axis=1).astype(np.float32)
    return Rows(codes, np.zeros(len(view), np.float32), view[PATIENT].to_numpy(np.int64))


def _cells(values: pd.Series, one: Binned) -> NDArray[np.int64]:
    """Whatever a value is, it is in one cell: without one for missing values, these count in the first."""
    if one.categories:
        codes = pd.Index(one.categories, dtype=object).get_indexer(pd.Index(values, dtype=object)).astype(np.int64)
        there = codes >= 0
    else:
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)
        there, codes = ~np.isnan(numbers), np.searchsorted(np.asarray(one.edges), numbers, side="right")
    return np.asarray(np.where(there, codes, one.cells - 1 if one.missing else 0))


class TrustedMarginals:
    """Answers as `TrustedStudy` does. Every call has noise of its own: answer only once. All patients count."""

    def __init__(self, asked: Marginals, view: pd.DataFrame) -> None:
        self._asked = asked
        self._patients = Patients(binned(view, asked), asked.encounters)

    @property
    def tasks(self) -> tuple[Literal["evaluate"], ...]:
        """What it can be asked for."""
        return ("evaluate",)

    def fit(self, parameters: Arrays) -> NoReturn:
        raise InvalidInput("A study that only counts trains nothing.")

    def evaluate(self, parameters: Arrays) -> tuple[int, dict[str, NDArray[np.int64]]]:
        """(1, the row): how many encounters there are is told with noise alone."""
        return 1, {STATISTICS: released(self._patients, self._asked, SecureRandom.fresh())}
