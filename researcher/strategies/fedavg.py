"""FedAvg: McMahan et al. (2017), Communication-Efficient Learning of Deep Networks from Decentralized Data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from datasites.wire.arrays import Arrays, steps
from policies.errors import InvalidInput
from researcher.errors import RoundFailed
from researcher.strategies.base import Aggregation, Described, Update
from researcher.strategies.layout import Layout, Vector


@dataclass(frozen=True)
class FedAvg(Described):
    """The mean of the hospitals' parameters, weighted by the numbers of examples that they report, or by `weights`: by
    hospital's address, a number above 0, such as a private estimate (`Counts.weights`).

    Sums are kept in float64. BatchNorm's running mean and variance are averaged like weights; whole-number buffers
    (`num_batches_tracked`) and booleans are averaged and rounded.
    """

    name: ClassVar[str] = "FedAvg"
    min_updates: ClassVar[int] = 1

    weights: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        if self.weights is not None and not all(0 < weight < float("inf") for weight in self.weights.values()):
            raise InvalidInput("Each weight must be a number above 0.")

    def begin(self, current: Arrays, memory: Arrays) -> Aggregation:
        """See `Strategy.begin`."""
        return _Averaging(Layout(current), self.weights)


class WeightedMean:
    """A running mean of updates, weighted by their numbers of examples or by `weights`; no update is kept."""

    def __init__(self, layout: Layout, weights: Mapping[str, float] | None = None) -> None:
        self._layout, self._weights = layout, weights
        self._sum = np.zeros(layout.size)
        self._weight = 0.0

    def add(self, update: Update) -> None:
        """Few numbers at a time: a large model is never in memory a second time."""
        self._layout.check(update)
        weight = self._weight_of(update)
        with np.errstate(over="ignore", invalid="ignore"):  # told by Layout.arrays
            for name, part in self._layout.parts(self._sum).items():
                for added, numbers in steps(part, update.parameters[name]):
                    added += np.asarray(numbers, np.float64) * np.float64(weight)
        self._weight += weight

    def _weight_of(self, update: Update) -> float:
        if self._weights is None:
            return update.num_examples
        if update.hospital not in self._weights:
            raise InvalidInput(f"There is no weight for {update.hospital}.", "Give one for each hospital.")
        return self._weights[update.hospital]

    def mean(self) -> Vector:
        """float64 of the layout's shape; then nothing can be added. Raises RoundFailed where there was no update."""
        if self._weight == 0:
            raise RoundFailed("There is no update to aggregate.")
        self._sum /= self._weight  # in place, so that there is no second one
        self._weight = 1.0
        return self._sum


class _Averaging(WeightedMean):
    def result(self) -> tuple[Arrays, Arrays]:
        return self._layout.arrays_in_place(self.mean()), {}
