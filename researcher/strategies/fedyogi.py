"""FedYogi: Reddi et al. (2021), Adaptive Federated Optimization, algorithm 2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from researcher.strategies.adaptive import Adaptive
from researcher.strategies.layout import Vector


@dataclass(frozen=True)
class FedYogi(Adaptive):
    """Yogi on the server: v <- v - (1 - beta_2) * change squared * sign(v - change squared).

    v follows the squared changes at a bounded pace, so that steps do not jump when changes suddenly become small.
    """

    name: ClassVar[str] = "FedYogi"

    def second_moment(self, before: Vector, square: Vector) -> Vector:
        return before - (1 - self.beta_2) * square * np.sign(before - square)
