"""Predict readmission within 30 days: one model for all hospitals that each can best make its own by one short step.

The network and its inputs are those of `plain`, the plain study. Training seeks the model that is good after a step on
a hospital's own patients (see `meta`), and the test takes that step first, on a copy that is dropped after the test.

`config` is as in `plain`, and
    adapt_rate    length of the adapting step, 0.05 if left out
    meta_rate     learning rate of the training, 0.05 if left out
    adapt_steps   before the test, 1 if left out; 0 tests the global model
    hessian_free  true: with the Hessian by differences (HF); otherwise first-order (FO)
"""

from collections.abc import Iterator
from itertools import islice

import meta
import network
import numpy as np
import pandas as pd
import plain
import splits
import torch
from torch.func import functional_call
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

DIFFERENCE = 1e-2  # long enough for float32, short beside the weights
Batch = tuple[torch.Tensor, torch.Tensor]


def initialize(config: dict) -> network.Arrays:
    """As the plain study's."""
    return plain.initialize(config)


def fit(parameters: network.Arrays, table: pd.DataFrame, config: dict) -> tuple[network.Arrays, int, dict[str, float]]:
    """Train on the training patients, three batches a step. The loss is the one after adapting."""
    rows = splits.rows_of("train", table, config["split_seed"])
    torch.manual_seed(plain.seed_of(config))
    model = network.from_arrays(parameters).train()
    weights, losses = _weights(model), []
    difference = DIFFERENCE if config.get("hessian_free") else None
    adapt, rate = config.get("adapt_rate", 0.05), config.get("meta_rate", 0.05)
    for number, batches in enumerate(_threes(plain.batches(rows, config))):
        functions = (_gradient(model, batch, plain.seed_of(config) + number, losses) for batch in batches)
        weights = meta.plus(weights, -rate, meta.meta_gradient(weights, *functions, adapt, difference))
    return _arrays(model, weights), len(rows), {"loss": float(np.mean(losses))}


def evaluate(
    parameters: network.Arrays, table: pd.DataFrame, config: dict
) -> tuple[int, dict[str, float | np.ndarray]]:
    """Adapts a copy to the training patients, and tests it on the test patients."""
    x, y = plain.tensors(splits.rows_of("train", table, config["split_seed"]))
    model = network.from_arrays(parameters).eval()
    weights = _weights(model)
    gradient = _gradient(model, (x, y), 0, [])
    for _ in range(config.get("adapt_steps", 1)):
        weights = meta.plus(weights, -config.get("adapt_rate", 0.05), gradient(weights))
    return plain.evaluate(_arrays(model, weights), table, config)


def _gradient(model: torch.nn.Module, batch: Batch, seed: int, losses: list[float]) -> meta.Gradient:
    """∇f on one batch, dropping the same units each time it is asked: a difference would else be one of dropout."""

    def gradient(weights: meta.Weights) -> meta.Weights:
        torch.manual_seed(seed)
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in weights.items()}
        loss = cross_entropy(functional_call(model, leaves, (batch[0],)).squeeze(1), batch[1])
        losses.append(loss.item())
        return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))

    return gradient


def _threes(batches: Iterator[Batch]) -> Iterator[tuple[Batch, ...]]:
    """Three at a time; one or two at the end are left out, but for a table of so few."""
    first = True
    while len(three := tuple(islice(batches, 3))) == 3 or (three and first):
        yield (three * 3)[:3]
        first = False


def _weights(model: torch.nn.Module) -> meta.Weights:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def _arrays(model: torch.nn.Module, weights: meta.Weights) -> network.Arrays:
    return network.to_arrays(model) | {name: tensor.numpy().copy() for name, tensor in weights.items()}
