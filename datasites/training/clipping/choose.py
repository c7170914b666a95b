"""Which method computes the clipped sums of a module."""

from __future__ import annotations

from typing import Literal

from datasites.training.clipping.base import ClippedSum
from datasites.training.clipping.bookkeeping import Bookkeeping, supports
from datasites.training.clipping.functional import Functional
from datasites.training.graph import GraphModule
from datasites.training.losses import Loss
from policies.errors import InvalidInput

Method = Literal["auto", "bookkeeping", "functional"]


def clipped_sum(module: GraphModule, loss: Loss, clip: float, method: Method = "auto") -> ClippedSum:
    """Sums of gradients that were clipped to `clip` (L2) for each patient.

    Reads the module's parameters, and whether it trains or evaluates, each time it is called; changes neither. Raises
    InvalidInput where the loss does not fit the model, or `clip` is not positive.
    """
    if method == "bookkeeping" or (method == "auto" and supports(module.graph)):
        return Bookkeeping(module, loss, clip)
    if method in ("auto", "functional"):
        return Functional(module, loss, clip)
    raise InvalidInput(f"There is no method {method!r}.", "Use auto, bookkeeping or functional.")
