"""Sums of clipped gradients, one gradient a patient.

The unit of privacy is the patient: a patient's gradient is the sum over that patient's rows, is scaled down to an L2
norm of at most `clip` as a whole, and is added up. One patient more or less changes the sums by at most `clip` in L2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from datasites.training.graph import GraphModule
from datasites.training.losses import Loss, check_loss
from policies.errors import InvalidInput


@dataclass(frozen=True)
class ClippedBatch:
    """`sums` have L2 sensitivity `clip` to one patient. `norms` and `losses` are private as they stand: each is one
    patient's own value, and neither may leave the hospital.

    sums    parameter name to the sum over patients of the clipped gradients, float32
    norms   [P] of the gradients before clipping; not finite where a patient was left out
    losses  [P] sum over the patient's rows
    """

    sums: dict[str, Tensor]
    norms: Tensor
    losses: Tensor


class ClippedSum(Protocol):
    """Inputs [P, K, *features], targets [P, K] and present [P, K]: P patients with up to K rows each.

    What stands in rows that are not present does not matter. P may be 0. A patient whose gradient is not finite adds
    nothing. Draws dropout from PyTorch's global generator.
    """

    def __call__(self, inputs: Tensor, targets: Tensor, present: Tensor) -> ClippedBatch: ...


def check(module: GraphModule, loss: Loss, clip: float) -> None:
    """Raises InvalidInput where clipping is not defined."""
    if not (0 < clip < float("inf")):
        raise InvalidInput(f"The clipping norm must be a positive number, not {clip}.")
    check_loss(loss, module.graph.output_shape)


def factors(norms: Tensor, clip: float) -> Tensor:
    """[P] by which gradients of these norms are multiplied: min(1, clip / norm), and 0 where the norm is not finite."""
    return torch.where(norms.isfinite(), clip / norms.clamp(min=clip), 0.0)


def blank(inputs: Tensor, targets: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Inputs and targets with zeros in the rows that are not present, so that no padding can upset a patient's."""
    if present.all():
        return inputs, targets
    absent = ~present
    spread = absent.reshape(*absent.shape, *[1] * (inputs.dim() - 2))
    return inputs.masked_fill(spread, 0), targets.masked_fill(absent, 0)


def in_parts(step: ClippedSum, patients: int, inputs: Tensor, targets: Tensor, present: Tensor) -> ClippedBatch:
    """`step` on at most so many patients at once: the sums add up, so the memory of a lot can be bounded."""
    if len(inputs) <= patients:
        return step(inputs, targets, present)
    parts = zip(*(torch.split(whole, patients) for whole in (inputs, targets, present)), strict=True)
    batches = [step(*part) for part in parts]
    sums = {name: torch.stack([batch.sums[name] for batch in batches]).sum(0) for name in batches[0].sums}
    return ClippedBatch(sums, torch.cat([b.norms for b in batches]), torch.cat([b.losses for b in batches]))


def nothing(module: GraphModule) -> ClippedBatch:
    """Of a lot without patients."""
    sums = {name: torch.zeros_like(value) for name, value in module.values().items()}
    return ClippedBatch(sums, torch.zeros(0), torch.zeros(0))
