"""FedAdagrad: Reddi et al. (2021), Adaptive Federated Optimization, algorithm 2 with beta_1 = 0, as in their
experiments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from datasites.wire.arrays import Arrays
from researcher.strategies.layout import Vector
from researcher.strategies.optimizer import ServerOptimizer, above_zero


@dataclass(frozen=True)
class FedAdagrad(ServerOptimizer):
    """weights <- weights + learning_rate * change / (sqrt(v) + tau), v the sum of all squared changes so far.

    Every coordinate moves by about `learning_rate` in the first round and ever less afterwards. tau: changes much
    smaller than it are not blown up. v begins with 0, as Flower's does; the paper asks for tau squared or more.
    """

    learning_rate: float = 0.01
    tau: float = 1e-3

    name: ClassVar[str] = "FedAdagrad"

    def __post_init__(self) -> None:
        super().__post_init__()
        above_zero(self, "tau")

    def step(self, change: Vector, memory: Arrays) -> tuple[Vector, Arrays]:
        second = memory.get("second_moment", 0.0) + change**2
        return self.learning_rate * change / (np.sqrt(second) + self.tau), {"second_moment": second}
