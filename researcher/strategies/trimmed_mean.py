"""Trimmed mean: Yin et al. (2018), Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from policies.errors import InvalidInput
from researcher.strategies.layout import Vector
from researcher.strategies.together import Matrix, Together

_TINY = 1e-9  # 0.29 of 100 is 29, not the 28.999... that floating point makes of it


@dataclass(frozen=True)
class TrimmedMean(Together):
    """The mean of each number of the model, buffers too, without the `share` lowest and the `share` highest hospitals.

    share: above 0 and below 0.5, rounded down to whole hospitals; that many liars are harmless. Fewer hospitals than
    1 / share fail a round, for then nobody is trimmed. Ignores numbers of examples and keeps all updates in memory,
    see together.py.
    """

    share: float = 0.2

    name: ClassVar[str] = "TrimmedMean"

    def __post_init__(self) -> None:
        if not 0 < self.share < 0.5:
            raise InvalidInput("TrimmedMean: share must be above 0 and below 0.5, for it is cut off at both ends.")

    @property
    def min_updates(self) -> int:
        return math.ceil(1 / self.share - _TINY)

    def combine(self, updates: Matrix, weights: NDArray[np.bool_]) -> Vector:
        cut = math.floor(len(updates) * self.share + _TINY)
        return np.asarray(np.sort(updates, axis=0)[cut : len(updates) - cut].mean(axis=0))
