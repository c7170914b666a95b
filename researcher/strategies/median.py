"""Coordinate-wise median: Yin et al. (2018), Byzantine-Robust Distributed Learning: Towards Optimal Statistical
Rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from researcher.strategies.layout import Vector
from researcher.strategies.together import Matrix, Together


@dataclass(frozen=True)
class Median(Together):
    """The median of the hospitals' values for each number of the model, buffers too; the mean of the middle two for an
    even number of hospitals. Ignores numbers of examples and keeps all updates in memory, see together.py.

    Fewer than half of the hospitals, whatever they send, cannot move a value beyond what honest ones sent. It needs
    three hospitals: the median of two is their mean.
    """

    name: ClassVar[str] = "Median"

    @property
    def min_updates(self) -> int:
        return 3

    def combine(self, updates: Matrix, weights: NDArray[np.bool_]) -> Vector:
        return np.asarray(np.median(updates, axis=0))
