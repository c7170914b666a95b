"""Predict readmission within 30 days with a Flower client as it stands: `client.py` is the client, this fits it in.

To use a client of your own, put its file in the place of `client.py`, and make one of it in `client_fn`, as in Flower.

The approved configuration, `config`:

    seed          makes everything random repeatable
    split_seed    which patients train and which test
    local_epochs  passes over the training rows in a round, 1 if left out
    round         added by the hospital
"""

import features
import network
import numpy as np
import pandas as pd
import splits
import torch
from client import FlowerClient
from torch.utils.data import DataLoader, TensorDataset

Arrays = dict[str, np.ndarray]
BATCH = 64


def client_fn(table: pd.DataFrame, config: dict) -> FlowerClient:
    """The hospital's client, of its rows."""
    train, test = (_loader(splits.rows_of(split, table, config["split_seed"]), split) for split in ("train", "test"))
    return FlowerClient(network.build(), train, test, config.get("local_epochs", 1))


def initialize(config: dict) -> Arrays:
    """The parameters of a client without a row."""
    torch.manual_seed(config["seed"])
    return _named(FlowerClient(network.build(), None, None, 0).get_parameters({}))


def fit(parameters: Arrays, table: pd.DataFrame, config: dict) -> tuple[Arrays, int, dict[str, float]]:
    torch.manual_seed(config["seed"] * 1_000_003 + config["round"])
    trained, examples, metrics = client_fn(table, config).fit(_listed(parameters), config)
    return _named(trained), examples, metrics


def evaluate(parameters: Arrays, table: pd.DataFrame, config: dict) -> tuple[int, dict[str, float]]:
    loss, examples, metrics = client_fn(table, config).evaluate(_listed(parameters), config)
    return examples, {"loss": loss, **metrics}


def _loader(rows: pd.DataFrame, split: str) -> DataLoader:
    x, y = torch.from_numpy(features.inputs(rows)), torch.from_numpy(features.labels(rows))
    whole = len(y) % BATCH == 1 and split == "train"  # BatchNorm cannot train on a lone last row
    return DataLoader(TensorDataset(x, y), BATCH, shuffle=split == "train", drop_last=whole)


def _named(arrays: list[np.ndarray]) -> Arrays:
    """Flower's clients know arrays by their order, and studies by name."""
    return {f"{place:04d}": np.array(array) for place, array in enumerate(arrays)}


def _listed(arrays: Arrays) -> list[np.ndarray]:
    return [arrays[name] for name in sorted(arrays)]
