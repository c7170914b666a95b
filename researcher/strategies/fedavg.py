"""FedAvg: McMahan et al. (2017), Communication-Efficient Learning of Deep Networks from Decentralized Data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from datasites.wire.arrays import Arrays
from researcher.errors import RoundFailed
from researcher.strategies.base import Aggregation, Update
from researcher.strategies.layout import Layout, Vector


@dataclass(frozen=True)
class FedAvg:
    """The mean of the hospitals' parameters, weighted by their numbers of examples.

    Sums are kept in float64. BatchNorm's running mean and variance are averaged like weights; whole-number buffers
    (`num_batches_tracked`) and booleans are averaged and rounded.
    """

    name: ClassVar[str] = "FedAvg"
    min_updates: ClassVar[int] = 1

    def begin(self, current: Arrays, memory: Arrays) -> Aggregation:
        return _Averaging(Layout(current))


class WeightedMean:
    """A running mean of updates, weighted by their numbers of examples; no update is kept."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._sum = np.zeros(layout.size)
        self._weight = 0

    def add(self, update: Update) -> None:
        vector = self._layout.of_update(update)
        with np.errstate(over="ignore", invalid="ignore"):  # told by Layout.arrays
            self._sum += vector * np.float64(update.num_examples)
        self._weight += update.num_examples

    def mean(self) -> Vector:
        """float64 of the layout's shape. Raises RoundFailed where there was no update."""
        if self._weight == 0:
            raise RoundFailed("There is no update to aggregate.")
        return self._sum / self._weight


class _Averaging(WeightedMean):
    def result(self) -> tuple[Arrays, Arrays]:
        return self._layout.arrays(self.mean()), {}
