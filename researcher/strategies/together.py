"""What strategies share that have to see all updates together: median, trimmed mean, Krum.

Memory: each update is kept as a float64 vector until the round's end, so `hospitals * parameters * 8` bytes, and about
as much again while the result is computed: 20 hospitals and a million parameters are 320 MB. Every hospital counts the
same, whatever number of examples it claims: that number is the hospital's own word, and weights would hand a liar the
model. Hospitals are put in the order of their names, so that the result does not depend on who answered first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from datasites.wire.arrays import Arrays
from policies.errors import InvalidInput
from researcher.errors import RoundFailed
from researcher.strategies.base import Aggregation, Described, Update
from researcher.strategies.layout import Layout, Vector

Matrix = NDArray[np.float64]


class Together(Described, ABC):
    """A strategy without memory that makes one vector of all hospitals' vectors."""

    name: ClassVar[str]

    @property
    @abstractmethod
    def min_updates(self) -> int:
        """With fewer it would not protect as it says."""

    @abstractmethod
    def combine(self, updates: Matrix, weights: NDArray[np.bool_]) -> Vector:
        """The next state of shape (size,) from updates of shape (hospitals, size); weights as in Layout."""

    def begin(self, current: Arrays, memory: Arrays) -> Aggregation:
        """See `Strategy.begin`."""
        return _Collecting(self, Layout(current))


class _Collecting:
    def __init__(self, strategy: Together, layout: Layout) -> None:
        self._strategy, self._layout = strategy, layout
        self._updates: dict[str, Vector] = {}

    def add(self, update: Update) -> None:
        if update.hospital in self._updates:
            raise InvalidInput(f"There are two updates of {update.hospital} in one round.")
        self._updates[update.hospital] = self._layout.of_update(update)

    def result(self) -> tuple[Arrays, Arrays]:
        needed, found = self._strategy.min_updates, len(self._updates)
        if found < needed:
            raise RoundFailed(f"{self._strategy.name} needs the updates of {needed} hospitals; there are {found}.")
        updates = np.stack([self._updates[hospital] for hospital in sorted(self._updates)])
        with np.errstate(over="ignore", invalid="ignore"):  # told by Layout.arrays
            combined = self._strategy.combine(updates, self._layout.weights)
        return self._layout.arrays(combined), {}
