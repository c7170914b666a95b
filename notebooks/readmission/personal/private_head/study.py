"""Predict readmission within 30 days: a body that all hospitals share, and a head that each has for itself.

The head is the network's last layer. It is trained here, stays here from round to round, and never leaves; the rest
is averaged. `rounds` of both kinds:

    FedPer (Arivazhagan et al. 2019)  head and body are trained together
    FedRep (Collins et al. 2021)      first the head alone for `head_epochs`, then the body alone

`config` is as in `plain`, and head_epochs: 0 (if left out) is FedPer. In a hospital's first test its head is the one
that all begin with.
"""

import network
import numpy as np
import pandas as pd
import plain
import splits
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

HEAD = "12."  # the last layer's place in the network


def initialize(config: dict) -> network.Arrays:
    """The body alone."""
    return _parts(plain.initialize(config))[0]


def fit(
    parameters: network.Arrays, table: pd.DataFrame, config: dict, kept: network.Arrays
) -> tuple[network.Arrays, int, dict[str, float], network.Arrays]:
    """Train head and body. The head, the fourth value, stays at the hospital."""
    rows = splits.rows_of("train", table, config["split_seed"])
    model = network.from_arrays(parameters | _head(kept, config)).train()
    torch.manual_seed(plain.seed_of(config))
    alternate = config.get("head_epochs", 0)
    if alternate:
        _train(model, rows, {**config, "local_epochs": alternate}, lambda name: name.startswith(HEAD))
    losses = _train(model, rows, config, lambda name: not (alternate and name.startswith(HEAD)))
    body, head = _parts(network.to_arrays(model))
    return body, len(rows), {"loss": float(np.mean(losses))}, head


def evaluate(
    parameters: network.Arrays, table: pd.DataFrame, config: dict, kept: network.Arrays
) -> tuple[int, dict[str, float | np.ndarray]]:
    """Tests the shared body with this hospital's own head."""
    return plain.evaluate(parameters | _head(kept, config), table, config)


def _head(kept: network.Arrays, config: dict) -> network.Arrays:
    return kept or _parts(plain.initialize({**config, "round": 0}))[1]


def _parts(arrays: network.Arrays) -> tuple[network.Arrays, network.Arrays]:
    """Body and head."""
    head = {name: array for name, array in arrays.items() if name.startswith(HEAD)}
    return {name: array for name, array in arrays.items() if name not in head}, head


def _train(model: torch.nn.Module, rows: pd.DataFrame, config: dict, chosen) -> list[float]:
    """Trains the parameters whose names are chosen; the others stand still."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(chosen(name))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=plain.LEARNING_RATE)
    losses = []
    for x, y in plain.batches(rows, config):
        optimizer.zero_grad()
        loss = cross_entropy(model(x).squeeze(1), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
