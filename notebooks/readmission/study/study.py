"""Predict readmission within 30 days: what a researcher submits and a hospital runs.

Three functions, called by the hospital each round:

    initialize  makes the first model            (no patient's row involved)
    fit         trains it on this hospital's rows (returns the model, the number of rows, the training loss)
    evaluate    tests it on this hospital's rows  (returns counts and averages)

The approved configuration, `config`:

    seed          makes everything random repeatable
    split_seed    which patients train and which test
    local_epochs  passes over the training rows in a round, 1 if left out
    max_batches   stop a round after so many batches (local steps); no limit if left out
    proximal_mu   how strongly FedProx holds training to the state it was sent; 0, which is FedAvg, if left out
    evaluate_on   "test" (if left out) or "validation"
    round         added by the hospital: 0 for the first model, then 1, 2, ...
"""

from collections.abc import Iterator
from itertools import islice

import features
import network
import numpy as np
import pandas as pd
import proximal
import scores
import splits
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

BATCH = 64
LEARNING_RATE = 1e-3

torch.set_num_threads(1)  # the network is small: more threads would only wait for each other


def initialize(config: dict) -> network.Arrays:
    """Random first parameters, the same for the same seed."""
    torch.manual_seed(seed_of(config))
    return network.to_arrays(network.build())


def fit(parameters: network.Arrays, table: pd.DataFrame, config: dict) -> tuple[network.Arrays, int, dict[str, float]]:
    """Train on the training patients. Returns the new parameters, how many rows trained them, and the mean loss."""
    rows = splits.rows_of("train", table, config["split_seed"])
    if len(rows) < 2:
        raise ValueError("BatchNorm needs at least two training rows.")
    torch.manual_seed(seed_of(config))  # governs the order of rows and dropout
    model = network.from_arrays(parameters).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
    spring = proximal.Proximal(model, config.get("proximal_mu", 0))
    losses = [_step(model, optimizer, spring, x, y) for x, y in batches(rows, config)]
    return network.to_arrays(model), len(rows), {"loss": float(np.mean(losses))}


def evaluate(
    parameters: network.Arrays, table: pd.DataFrame, config: dict
) -> tuple[int, dict[str, float | np.ndarray]]:
    """Test on the test patients. Where all had the same outcome there is no AUC, and the entry is left out."""
    rows = splits.rows_of(config.get("evaluate_on", "test"), table, config["split_seed"])
    if rows.empty:
        raise ValueError("No patient of this table is in the chosen split.")
    x, y = tensors(rows)
    with torch.no_grad():
        logits = network.from_arrays(parameters).eval()(x).squeeze(1)
    probability, label = torch.sigmoid(logits).numpy(), y.numpy()
    metrics: dict[str, float | np.ndarray] = {
        "loss": cross_entropy(logits, y).item(),
        "accuracy": float(((probability >= 0.5) == label).mean()),
        "score_histogram": scores.histogram(probability, label),
    }
    if (auc := scores.auc(probability, label)) is not None:
        metrics["auc"] = auc
    return len(rows), metrics


def seed_of(config: dict) -> int:
    """Another number each round: otherwise a round of few batches would see the same rows again and again."""
    return config["seed"] * 1_000_003 + config["round"]


def tensors(rows: pd.DataFrame) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(features.inputs(rows)), torch.from_numpy(features.labels(rows))


def batches(rows: pd.DataFrame, config: dict) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Every row once an epoch in random order, 64 at a time; a lone last row is dropped, for BatchNorm needs two."""
    x, y = tensors(rows)
    epochs = range(config.get("local_epochs", 1))
    batches = (batch for _ in epochs for batch in torch.randperm(len(y)).split(BATCH) if len(batch) > 1)
    for batch in islice(batches, config.get("max_batches")):
        yield x[batch], y[batch]


def _step(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    spring: proximal.Proximal,
    x: torch.Tensor,
    y: torch.Tensor,
) -> float:
    """One batch: predict, compare, correct. Returns the loss before the correction, without FedProx's part."""
    optimizer.zero_grad()
    loss = cross_entropy(model(x).squeeze(1), y)
    (loss + spring.loss()).backward()
    optimizer.step()
    return loss.item()
