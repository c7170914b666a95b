"""What FedAdam and FedYogi share: momentum, and a step of its own length for each coordinate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datasites.wire.arrays import Arrays
from researcher.strategies.layout import Vector
from researcher.strategies.optimizer import ServerOptimizer, above_zero, share


@dataclass(frozen=True)
class Adaptive(ServerOptimizer):
    """weights <- weights + learning_rate * m / (sqrt(v) + tau), with m <- beta_1 * m + (1 - beta_1) * change.

    m and v begin with 0. Every coordinate moves by about `learning_rate` a round, however little the hospitals changed
    it, unless that is much less than `tau`: both must suit the model's scale.
    """

    learning_rate: float = 0.01
    beta_1: float = 0.9
    beta_2: float = 0.99
    tau: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        share(self, "beta_1", "beta_2")
        above_zero(self, "tau")

    def step(self, change: Vector, memory: Arrays) -> tuple[Vector, Arrays]:
        nothing = np.zeros_like(change)
        momentum = self.beta_1 * memory.get("momentum", nothing) + (1 - self.beta_1) * change
        second = self.second_moment(memory.get("second_moment", nothing), change**2)
        step = self.learning_rate * momentum / (np.sqrt(second) + self.tau)
        return step, {"momentum": momentum, "second_moment": second}

    def second_moment(self, before: Vector, square: Vector) -> Vector:
        """v after a change with this square, from v before it."""
        raise NotImplementedError
