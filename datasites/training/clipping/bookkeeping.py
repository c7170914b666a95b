"""Book-keeping ghost clipping: one forward and one backward pass, and no gradient of a patient is ever formed.

Bu, Wang, Zha, Karypis 2023, "Differentially private optimization on large model at small cost" (ICML). The backward
pass goes through the layers' outputs only. Norms and clipped sums come from what was kept of it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import torch
from torch import Tensor

from datasites.training.clipping.base import ClippedBatch, blank, check, factors, in_parts, nothing
from datasites.training.clipping.contributions import Contribution, Direct
from datasites.training.clipping.layers import contributions, supported
from datasites.training.graph import GraphModule, run
from datasites.training.losses import Loss, row_losses
from datasites.wire.graph import Graph, Node, layers
from policies.errors import InvalidInput


def supports(graph: Graph) -> bool:
    return all(supported(node) for node in graph.nodes)


class Bookkeeping:
    """For graphs that `supports` says yes to. Raises InvalidInput for others."""

    def __init__(self, module: GraphModule, loss: Loss, clip: float, numbers_at_once: int = 2**26) -> None:
        check(module, loss, clip)
        if not supports(module.graph):
            raise InvalidInput("The model has layers without book-keeping.", "Use the method functional, or auto.")
        self._module, self._loss, self._clip = module, loss, clip
        self._numbers = numbers_at_once
        self._of_a_row, self._of_a_patient = numbers_held(module.graph)

    def __call__(self, inputs: Tensor, targets: Tensor, present: Tensor) -> ClippedBatch:
        if not len(inputs):
            return nothing(self._module)
        inputs, targets = blank(inputs, targets, present)
        at_once = self._numbers // (inputs.shape[1] * self._of_a_row + self._of_a_patient)
        return in_parts(self._part, max(1, at_once), inputs, targets, present)

    def _part(self, inputs: Tensor, targets: Tensor, present: Tensor) -> ClippedBatch:
        patients = len(inputs)
        parameters = self._module.values()
        kept, losses = self._backward(parameters, inputs, targets, present)
        given = _contributions(kept, patients, parameters)
        norms = torch.stack([one.squared_norms() for one in given.values()]).sum(0).sqrt()
        weights = factors(norms, self._clip)
        lost = ~norms.isfinite()
        if lost.any():
            given = {name: one.without(lost) for name, one in given.items()}
        unused = {name: torch.zeros_like(parameters[name]) for name in parameters.keys() - given.keys()}
        sums = unused | {name: one.weighted_sum(weights) for name, one in given.items()}
        return ClippedBatch(sums, norms, losses)

    def _backward(
        self, parameters: dict[str, Tensor], inputs: Tensor, targets: Tensor, present: Tensor
    ) -> tuple[list[tuple[Node, Tensor, Tensor]], Tensor]:
        """Each layer with its input and the gradient of its output, and the patients' losses [P]."""
        seen: list[tuple[Node, Tensor, Tensor]] = []

        def tap(node: Node, values: list[Tensor], output: Tensor) -> None:
            # parameters ask for no gradient, so the first layer's output is where the backward pass ends
            seen.append((node, values[0].detach(), output if output.requires_grad else output.requires_grad_()))

        with torch.enable_grad():
            outputs = run(self._module.graph, parameters, inputs.flatten(0, 1), self._module.training, tap)
            rows = row_losses(self._loss, outputs, targets.flatten())
            losses = torch.where(present, rows.reshape(present.shape), 0.0).sum(1)
            gradients = torch.autograd.grad(losses.sum(), [output for _, _, output in seen], allow_unused=True)
        kept = [(node, x, g) for (node, x, _), g in zip(seen, gradients, strict=True) if g is not None]
        return kept, losses.detach()


def _contributions(
    kept: list[tuple[Node, Tensor, Tensor]], patients: int, parameters: dict[str, Tensor]
) -> dict[str, Contribution]:
    """By parameter. Where several layers use one, a patient's gradient is the sum over them, and formed."""
    by_name: dict[str, list[Contribution]] = defaultdict(list)
    for node, x, g in kept:
        for name, one in contributions(node, x, g, patients, parameters):
            by_name[name].append(one)
    return {name: ones[0] if len(ones) == 1 else _together(ones) for name, ones in by_name.items()}


def _together(ones: list[Contribution]) -> Contribution:
    return Direct(torch.stack([one.gradients() for one in ones]).sum(0))


def numbers_held(graph: Graph) -> tuple[int, int]:
    """About how many numbers are held for a row (values, their gradients, and convolutions' windows) and for a patient
    (gradients of parameters that may have to be formed: all but those of a linear layer that is used once)."""
    values = graph.values()
    held = 3 * sum(math.prod(value.shape) for value in values)
    uses = Counter(name for node in graph.nodes for name in node.uses())
    formed = set(graph.parameters)
    for place, node in enumerate(graph.nodes, start=1):
        if isinstance(node, layers.Linear):
            formed -= {name for name in node.uses() if uses[name] == 1}
        if isinstance(node, layers.Convolution):
            held += math.prod(graph.parameters[node.weight][1:]) * node.groups * math.prod(values[place].shape[1:])
    return held, sum(math.prod(graph.parameters[name]) for name in formed)
