"""Each patient's gradient by itself (torch.func), then clipped and added: plain, general, and slow."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap

from datasites.training.clipping.base import ClippedBatch, blank, check, factors, in_parts, nothing
from datasites.training.graph import GraphModule, run
from datasites.training.losses import Loss, row_losses


class Functional:
    """For every graph. Holds the gradients of `patients_at_once` patients in memory."""

    def __init__(self, module: GraphModule, loss: Loss, clip: float, patients_at_once: int = 256) -> None:
        check(module, loss, clip)
        self._module, self._loss, self._clip, self._at_once = module, loss, clip, patients_at_once

    def __call__(self, inputs: Tensor, targets: Tensor, present: Tensor) -> ClippedBatch:
        if not len(inputs):
            return nothing(self._module)
        inputs, targets = blank(inputs, targets, present)
        return in_parts(self._part, self._at_once, inputs, targets, present)

    def _part(self, inputs: Tensor, targets: Tensor, present: Tensor) -> ClippedBatch:
        parameters = self._module.values()
        each = vmap(grad_and_value(self._patient), in_dims=(None, 0, 0, 0), randomness="different")
        gradients, losses = each(parameters, inputs, targets, present)
        flat = [gradient.reshape(len(inputs), -1) for gradient in gradients.values()]
        norms = torch.stack([part.square().sum(1) for part in flat]).sum(0).sqrt()
        kept, scale = norms.isfinite(), factors(norms, self._clip)
        sums = {}
        for name, gradient in gradients.items():
            finite = gradient.masked_fill(~kept.reshape(-1, *[1] * (gradient.dim() - 1)), 0)
            sums[name] = torch.tensordot(scale, finite, 1)
        return ClippedBatch(sums, norms, losses)

    def _patient(self, parameters: dict[str, Tensor], inputs: Tensor, targets: Tensor, present: Tensor) -> Tensor:
        outputs = run(self._module.graph, parameters, inputs, self._module.training)
        return torch.where(present, row_losses(self._loss, outputs, targets), 0.0).sum()
