"""What hospitals answer to a study of statistics in a secure sum: one answer, of all of them together."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from researcher.asking import Told
from researcher.pooling import Cells, Moments, Pair
from researcher.secagg.summed import COUNTS, PRODUCTS, SUMS
from researcher.seen import RUN, Seen
from researcher.variables import Variable


@dataclass(frozen=True)
class Added(Seen):
    """A cell of `counts` below 0 is withheld by some hospitals, and -1 minus what the others tell.

    rounding: what counts are multiples of, added up over the hospitals that round them. sums: by column, of those
    hospitals that tell theirs, how many patients, and the sums of their values and of the squares, as shares of the
    range; products: of each two correlated columns. `moments` and `correlations` are empty.
    """

    rounding: int = 0
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3)), repr=False)
    products: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)), repr=False)

    def bounds(self, row: int, cell: int) -> tuple[int, int | None]:
        """The fewest and the most patients that a cell may hold; None where that is not told."""
        count = int(self.counts[row, cell])
        return (count, count) if count >= 0 else (-1 - count, None)

    def present(self, row: int) -> int:
        """How many have a value; and those of whom it is withheld whether they do."""
        return self.patients - self.bounds(row, -1)[0]

    def cells(self, row: int, variable: Variable) -> Cells:
        """With what is told of cells that are withheld in part."""
        counts = self.counts[row, : variable.cells]
        hidden = counts < 0
        told = np.where(hidden, -1 - counts, counts).astype(np.float64)
        slack = float(RUN * self.rounding)
        more = max(0.0, self.patients - float(told.sum()) - self.bounds(row, -1)[0] + slack)
        return Cells(told, hidden, more if hidden.any() else 0.0, slack)

    def moments_of(self, row: int, variable: Variable) -> Moments | None:
        """None where they are not told."""
        if variable.values:
            return super().moments_of(row, variable)
        count, total, squares = self.sums[row].tolist()
        if count < 2:
            return None
        mean, width = total / count, variable.high - variable.low
        variance = max(0.0, squares / count - mean**2) * count / (count - 1)
        return Moments(count, variable.low + mean * width, math.sqrt(variance) * width)

    def pair(self, at: tuple[int, int], rows: tuple[int, int], variables: tuple[Variable, Variable]) -> Pair | None:
        """Of two columns that are correlated, and so are never missing: their sums are over the same patients."""
        one, other = (self.moments_of(*found) for found in zip(rows, variables, strict=True))
        if not one or not other or not one.deviation * other.deviation > 0:
            return None
        (count, first, _), (_, second, _) = self.sums[rows[0]].tolist(), self.sums[rows[1]].tolist()
        covariance = (float(self.products[at]) - first * second / count) / (count - 1)
        widths = math.prod(variable.high - variable.low for variable in variables)
        return Pair(one, other, float(np.clip(covariance * widths / one.deviation / other.deviation, -1, 1)))


def added_of(told: Told) -> Added:
    """Where hospitals do not tell how many patients count, their fullest row does."""
    counts = np.asarray(told.arrays[COUNTS], np.int64)
    rows = np.where(counts < 0, -1 - counts, counts).sum(axis=1)
    sums, products = (np.asarray(told.arrays[name], np.float64) for name in (SUMS, PRODUCTS))
    nothing = np.zeros((0, 2))
    patients = max(1, told.examples, int(rows.max())) if told.examples <= told.hospitals else told.examples
    return Added(patients, counts, nothing, nothing, told.rounding.get(COUNTS, 0), sums, products)
