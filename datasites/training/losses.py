"""Losses of one row each, so that no row's loss depends on another's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from policies.errors import InvalidInput

Loss = Literal["binary_cross_entropy", "cross_entropy", "mean_squared_error"]


def row_losses(loss: Loss, outputs: Tensor, targets: Tensor) -> Tensor:
    """Losses [rows] of outputs [rows, *output_shape] against targets [rows].

    `binary_cross_entropy` takes one logit a row and a target in [0, 1]; `cross_entropy` takes logits [rows, classes]
    and the class; `mean_squared_error` takes one number a row.
    """
    return _LOSSES[loss](outputs, targets)


def check_loss(loss: str, output_shape: tuple[int, ...]) -> None:
    """Raises InvalidInput if a model with this output cannot be trained with this loss."""
    if loss not in _LOSSES:
        raise InvalidInput(f"There is no loss {loss!r}.", f"Use one of {', '.join(_LOSSES)}.")
    if loss == "cross_entropy":
        if len(output_shape) != 1 or output_shape[0] < 2:
            raise InvalidInput(f"cross_entropy needs one logit a class; the model gives {list(output_shape)}.")
    elif math.prod(output_shape) != 1:
        raise InvalidInput(f"{loss} needs one number a row; the model gives {list(output_shape)}.")


def _binary(outputs: Tensor, targets: Tensor) -> Tensor:
    logits = outputs.reshape(targets.shape)
    return functional.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype), reduction="none")


def _classes(outputs: Tensor, targets: Tensor) -> Tensor:
    # a class that the model does not know counts as the nearest: what a record holds must not stop the training
    known = targets.to(torch.int64).clamp(0, outputs.shape[-1] - 1)
    return functional.cross_entropy(outputs, known, reduction="none")


def _squares(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.reshape(targets.shape) - targets).square()


_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "binary_cross_entropy": _binary,
    "cross_entropy": _classes,
    "mean_squared_error": _squares,
}
