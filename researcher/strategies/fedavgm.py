"""FedAvgM: Hsu, Qi, Brown (2019), Measuring the Effects of Non-Identical Data Distribution for Federated Visual
Classification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from datasites.wire.arrays import Arrays
from researcher.strategies.layout import Vector
from researcher.strategies.optimizer import ServerOptimizer, share


@dataclass(frozen=True)
class FedAvgM(ServerOptimizer):
    """FedAvg with momentum on the server: v <- momentum * v + change; weights <- weights + learning_rate * v.

    The changes add up: with momentum 0.9 and learning rate 1 a steady change ends in steps ten times as long as
    FedAvg's. With momentum 0 and learning rate 1 it is FedAvg.
    """

    learning_rate: float = 1.0
    momentum: float = 0.9

    name: ClassVar[str] = "FedAvgM"

    def __post_init__(self) -> None:
        super().__post_init__()
        share(self, "momentum")

    def step(self, change: Vector, memory: Arrays) -> tuple[Vector, Arrays]:
        momentum = self.momentum * memory.get("momentum", 0.0) + change
        return self.learning_rate * momentum, {"momentum": momentum}
