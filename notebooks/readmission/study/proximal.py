"""FedProx: Li et al. (2020), Federated Optimization in Heterogeneous Networks.

Hospitals differ, and each that trains for long drifts towards its own optimum. FedProx adds to each hospital's loss a
spring to the state it was sent: mu / 2 times the squared distance of the weights from there. With mu = 0 it is FedAvg.
Whatever the number of local steps, the larger mu the nearer the averaged model comes to the optimum of all hospitals
together, and the more rounds it takes: it makes drift small, and never nothing.

This file needs nothing but PyTorch, so that it can be copied into the folder of any study.
"""

import torch
from torch import nn


class Proximal:
    """Made of the model as it arrived, before the first local step. BatchNorm's running statistics have no spring."""

    def __init__(self, model: nn.Module, mu: float) -> None:
        if not 0 <= mu < float("inf"):
            raise ValueError("mu must be a number of 0 or more.")
        self._model, self._mu = model, mu
        self._start = [weight.detach().clone() for weight in model.parameters()] if mu else []

    def loss(self) -> torch.Tensor | float:
        """What to add to the loss of a batch, just before `backward`."""
        if not self._mu:
            return 0.0
        pairs = zip(self._model.parameters(), self._start, strict=True)
        return self._mu / 2 * sum((weight - start).square().sum() for weight, start in pairs)
