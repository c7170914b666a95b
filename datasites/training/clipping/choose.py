"""Which method computes the clipped sums of a module."""

from __future__ import annotations

from typing import Literal

from datasites.training.clipping.base import ClippedSum
from datasites.training.clipping.functional import Functional
from datasites.training.graph import GraphModule
from datasites.training.losses import Loss

Method = Literal["auto", "functional"]


def clipped_sum(module: GraphModule, loss: Loss, clip: float, method: Method = "auto") -> ClippedSum:
    """Sums of gradients that were clipped to `clip` (L2) for each patient.

    Reads the module's parameters, and whether it trains or evaluates, each time it is called; changes neither. Raises
    InvalidInput where the loss does not fit the model, or `clip` is not positive.
    """
    return Functional(module, loss, clip)
