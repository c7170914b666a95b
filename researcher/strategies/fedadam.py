"""FedAdam: Reddi et al. (2021), Adaptive Federated Optimization, algorithm 2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from researcher.strategies.adaptive import Adaptive
from researcher.strategies.layout import Vector


@dataclass(frozen=True)
class FedAdam(Adaptive):
    """Adam on the server: v <- beta_2 * v + (1 - beta_2) * change squared.

    As in the paper there is no correction of the first rounds' bias; Flower's FedAdam has one, and multiplies round
    t's learning rate by sqrt(1 - beta_2**(t + 1)) / (1 - beta_1**(t + 1)), t from 1.
    """

    name: ClassVar[str] = "FedAdam"

    def second_moment(self, before: Vector, square: Vector) -> Vector:
        return self.beta_2 * before + (1 - self.beta_2) * square
