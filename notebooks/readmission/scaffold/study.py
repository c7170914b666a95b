"""Predict readmission within 30 days, with SCAFFOLD's correction of what makes hospitals drift apart.

The network, its inputs and its test are those of `plain`, the plain study. Besides, the hospital's control variate
stays here from round to round: one number for each of the network's weights, an average of gradients on this hospital's
patients. What is sent in each round is how it changed, so whoever adds the changes up knows it, as they know the
model's. To be run with `wr.Scaffold(hospitals=N)`.

`config` is as in `plain`, and learning_rate: of SGD, 0.05 if left out.
"""

import control
import network
import numpy as np
import pandas as pd
import plain
import splits
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy


def initialize(config: dict) -> network.Arrays:
    """The plain study's first model, and control variates of zeros."""
    return control.with_controls(plain.initialize(config), dict(network.build().named_parameters()))


def fit(
    parameters: network.Arrays, table: pd.DataFrame, config: dict, kept: network.Arrays
) -> tuple[network.Arrays, int, dict[str, float], network.Arrays]:
    """Train on the training patients by corrected steps. The fourth value stays at the hospital."""
    rows = splits.rows_of("train", table, config["split_seed"])
    arrays, server = control.split(parameters)
    before = control.own(kept, server)
    torch.manual_seed(plain.seed_of(config))
    model = network.from_arrays(arrays).train()
    batches = plain.batches(rows, config)
    after, losses = control.train(model, batches, _loss, server, before, config.get("learning_rate", 0.05))
    trained = control.joined(network.to_arrays(model), server, before, after)
    return trained, len(rows), {"loss": float(np.mean(losses))}, after


def evaluate(
    parameters: network.Arrays, table: pd.DataFrame, config: dict
) -> tuple[int, dict[str, float | np.ndarray]]:
    """As the plain study's: control variates are no part of the model."""
    return plain.evaluate(control.split(parameters)[0], table, config)


def _loss(model: torch.nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    x, y = batch
    return cross_entropy(model(x).squeeze(1), y)
