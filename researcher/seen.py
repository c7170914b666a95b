"""What one hospital answers to a study of statistics, as far as it is told."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from researcher.pooling import Cells, Moments, Pair, moments_of
from researcher.variables import Variable

_COVER = -1  # see the gate's `withholding`
_SCALE = 1000.0  # moments are told in thousandths of the column's range
RUN = 3  # any run of rounded counts is off by less than so many times what counts are multiples of


@dataclass(frozen=True)
class Seen:
    """One hospital's answer. `counts` has a row a variable, the last cell for missing values; a cell below 0 is
    withheld: -n because it holds fewer than n, -1 to cover such a one. See the gate's `withholding`."""

    patients: int
    counts: NDArray[np.int64] = field(repr=False)
    moments: NDArray[np.float64] = field(repr=False)
    correlations: NDArray[np.float64] = field(repr=False)

    @property
    def step(self) -> int:
        """What all counts are multiples of: a hospital that rounds them tells so by this alone. 1 where none does."""
        return max(1, math.gcd(*self.counts[self.counts > 0].tolist()))

    def missing(self, row: int) -> int:
        """How many have no value; below 0 where it is withheld."""
        return int(self.counts[row, -1])

    def present(self, row: int) -> int:
        """How many have a value; all patients where the number of the others is withheld."""
        return self.patients - max(0, self.missing(row))

    def bounds(self, row: int, cell: int) -> tuple[int, int | None]:
        """The fewest and the most patients that a cell may hold; None where that is not told."""
        count = int(self.counts[row, cell])
        if count >= 0:
            return count, count
        return (0, None) if count == _COVER else (1, -count - 1)

    def without(self) -> NDArray[np.float64]:
        """By row, the share of patients without a value; NaN where it is withheld."""
        found = self.counts[:, -1] / self.patients
        return np.where(found < 0, np.nan, np.minimum(found, 1))

    def pair(self, at: tuple[int, int], rows: tuple[int, int], variables: tuple[Variable, Variable]) -> Pair | None:
        """Of two columns that are correlated, the `at`-th of those; None where it is not told."""
        left, right = (self.moments_of(*one) for one in zip(rows, variables, strict=True))
        told = float(self.correlations[at])
        if not left or not right or told < -1:
            return None
        both = self.patients  # columns that are correlated are never missing
        one, other = (Moments(both, part.mean, part.deviation) for part in (left, right))
        return Pair(one, other, told)

    def cells(self, row: int, variable: Variable) -> Cells:
        counts = self.counts[row, : variable.cells].astype(np.float64)
        hidden = counts < 0
        told = float(counts[~hidden].sum()) + max(0, self.missing(row))
        slack = float(RUN * self.step) if self.step > 1 else 0.0
        more = max(0.0, self.patients - told + slack) if hidden.any() else 0.0
        return Cells(np.where(hidden, 0.0, counts), hidden, more, slack)

    def moments_of(self, row: int, variable: Variable) -> Moments | None:
        """None where they are not told."""
        if variable.values:
            categories = any(isinstance(value, str) for value in variable.values)
            return None if categories else moments_of(self.cells(row, variable), variable.edges[:, 0])
        mean, deviation = self.moments[row].tolist()
        if deviation < 0:
            return None
        width = (variable.high - variable.low) / _SCALE
        return Moments(self.present(row), variable.low + mean * width, deviation * width)
