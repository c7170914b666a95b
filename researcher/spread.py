"""How a number is expected to spread, by its public dictionary entry alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from datasites.wire.dictionary import Column

Floats = NDArray[np.float64]


class Spread:
    """The normal distribution of `typical`, cut off at the range; without it, evenly over the range."""

    def __init__(self, column: Column) -> None:
        self._low, self._high = column.bounds
        self._typical = column.typical if column.typical and column.typical[1] > 0 else None
        self._ends = self._normal(np.array([self._low, self._high]))

    def quantiles(self, shares: Floats) -> Floats:
        """The values below which these shares of the patients are expected."""
        first, last = self._ends
        if self._typical is None or last - first < 1e-6:  # a range that `typical` is not in
            return self._low + shares * (self._high - self._low)
        center, scale = self._typical
        return np.asarray(np.clip(center + scale * ndtri(first + shares * (last - first)), self._low, self._high))

    def shares(self, values: Floats) -> Floats:
        """The share that is expected below each of these values."""
        first, last = self._ends
        if self._typical is None or last - first < 1e-6:
            return np.asarray(np.clip((values - self._low) / (self._high - self._low), 0, 1))
        return np.asarray(np.clip((self._normal(values) - first) / (last - first), 0, 1))

    def _normal(self, values: Floats) -> Floats:
        center, scale = self._typical or (0.0, 1.0)
        return np.asarray(ndtr((values - center) / scale))
