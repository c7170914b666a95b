"""The hospital's own training: DP-SGD with a patient as the unit (Abadi et al. 2016; McMahan et al. 2018 for users).

What leaves a round is the parameters after it, which are a function of the parameters before it, of public constants
and of `steps` noisy sums. Each of those is one event of the ledger: a Poisson-sampled Gaussian mechanism whose L2
sensitivity is the clip. Optimizer, FedProx term and everything else that follows are post-processing. The loss of the
training rows, the lots' sizes and the gradients' norms are not noised, and so stay in this process.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datasites.training.clipping import ClippedSum, clipped_sum
from datasites.training.graph import GraphModule, build
from datasites.training.private.patients import Lot, Patients
from datasites.training.private.randomness import SecureRandom, noisy_sum
from datasites.wire.arrays import Arrays
from datasites.wire.graph import Graph
from datasites.wire.training import Optimizer, Training


def load(graph: Graph, parameters: Mapping[str, NDArray[np.generic]]) -> GraphModule:
    """The model with these parameters, in float64.

    So much, because a sum in floating point moves by more than one patient's clipped gradient when that patient is
    taken out and all others are rounded anew (Casacuberta et al. 2022): in float64 by less than a millionth of the
    clip, which the noise covers.
    """
    module = build(graph).double()
    module.load_state_dict({name: torch.from_numpy(np.array(array, np.float64)) for name, array in parameters.items()})
    return module


def train(parameters: Arrays, patients: Patients, training: Training, random: SecureRandom) -> Arrays:
    """The parameters (float32) after a round's steps on `patients`, starting from `parameters`."""
    module = load(training.graph, parameters).train()
    weights = dict(module.named_parameters())
    start = {name: weight.detach().clone() for name, weight in weights.items()}
    optimizer = _optimizer(training.optimizer, list(weights.values()))
    gradients = clipped_sum(module, training.loss, training.clip)
    averaged = max(1, math.ceil(training.optimizer.average * training.steps))
    mean = {name: np.zeros(weight.shape) for name, weight in weights.items()}
    for step in range(training.steps):
        total = _total(gradients, patients, training, random, weights)
        noisy = noisy_sum(total, training.clip, training.noise_multiplier, random) / training.expected_lot
        with torch.no_grad():
            for (name, weight), gradient in zip(weights.items(), _pieces(noisy, weights), strict=True):
                weight.grad = gradient + training.proximal * (weight - start[name])
        optimizer.step()
        if step >= training.steps - averaged:
            for name, weight in weights.items():
                mean[name] += weight.detach().numpy() / averaged
    return {name: array.astype(np.float32) for name, array in mean.items()}


def _total(
    gradients: ClippedSum, patients: Patients, training: Training, random: SecureRandom, weights: Mapping[str, Tensor]
) -> NDArray[np.float64]:
    """The sum of one lot's clipped gradients, all parameters in one row; of an empty lot too."""
    total = np.zeros(sum(weight.numel() for weight in weights.values()))
    for lot in patients.draw(training.sampling_rate, random):
        sums = gradients(*tensors(lot)).sums
        total += np.concatenate([sums[name].detach().numpy().ravel() for name in weights])
    return total


def tensors(lot: Lot) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs and targets in float64, and which encounters are present."""
    inputs, targets = lot.inputs.astype(np.float64), lot.targets.astype(np.float64)
    return torch.from_numpy(inputs), torch.from_numpy(targets), torch.from_numpy(lot.present)


def _pieces(flat: NDArray[np.float64], weights: Mapping[str, Tensor]) -> list[Tensor]:
    sizes = [weight.numel() for weight in weights.values()]
    parts = torch.split(torch.from_numpy(flat), sizes)
    return [part.reshape(weight.shape) for part, weight in zip(parts, weights.values(), strict=True)]


def _optimizer(asked: Optimizer, weights: list[Tensor]) -> torch.optim.Optimizer:
    if asked.name == "adam":
        return torch.optim.Adam(weights, lr=asked.learning_rate, weight_decay=asked.weight_decay)
    return torch.optim.SGD(weights, lr=asked.learning_rate, momentum=asked.momentum, weight_decay=asked.weight_decay)
