"""What server optimizers share: the hospitals' mean change is the direction that a step on the server is made of.

Source: Reddi et al. (2021), Adaptive Federated Optimization, algorithms 1 and 2, with hospitals weighted by their
numbers of examples as in FedAvg (the paper's are not). BatchNorm's running statistics and whole numbers take no step:
they are averaged as FedAvg does (see layout.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from datasites.wire.arrays import Arrays
from policies.errors import InvalidInput
from researcher.strategies.base import Aggregation, Described
from researcher.strategies.fedavg import WeightedMean
from researcher.strategies.layout import Layout, Vector


@dataclass(frozen=True)
class ServerOptimizer(Described):
    """learning_rate: the server's, above 0. A subclass says what step follows from a change."""

    learning_rate: float = 1.0

    name: ClassVar[str]
    min_updates: ClassVar[int] = 1

    def __post_init__(self) -> None:
        above_zero(self, "learning_rate")

    def begin(self, current: Arrays, memory: Arrays) -> Aggregation:
        """See `Strategy.begin`."""
        return _Stepping(self, current, memory)

    def step(self, change: Vector, memory: Arrays) -> tuple[Vector, Arrays]:
        """What to add to the weights, and the memory after it; no argument is changed.

        change: the mean update less the current state, of all weights; memory: vectors of that shape, empty at first.
        """
        raise NotImplementedError


class _Stepping(WeightedMean):
    def __init__(self, optimizer: ServerOptimizer, current: Arrays, memory: Arrays) -> None:
        super().__init__(Layout(current))
        self._optimizer = optimizer
        self._current, self._memory = self._layout.vector(current), memory

    def result(self) -> tuple[Arrays, Arrays]:
        after, weights = self.mean(), self._layout.weights
        with np.errstate(over="ignore", invalid="ignore"):  # told by Layout.arrays
            step, memory = self._optimizer.step(after[weights] - self._current[weights], self._memory)
            after[weights] = self._current[weights] + step
        return self._layout.arrays(after), memory


def above_zero(strategy: ServerOptimizer, *settings: str) -> None:
    """Raises InvalidInput for a setting that is not a finite number above 0."""
    for setting in settings:
        if not 0 < getattr(strategy, setting) < np.inf:
            raise InvalidInput(f"{strategy.name}: {setting} must be a number above 0.")


def share(strategy: ServerOptimizer, *settings: str) -> None:
    """Raises InvalidInput for a setting that is not at least 0 and below 1."""
    for setting in settings:
        if not 0 <= getattr(strategy, setting) < 1:
            raise InvalidInput(f"{strategy.name}: {setting} must be at least 0 and below 1.")
