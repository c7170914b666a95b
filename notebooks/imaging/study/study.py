"""Find nodules in chest images: what a researcher submits and a hospital runs.

Three functions, called by the hospital each round:

    initialize  makes the first model              (no patient's image involved)
    fit         trains it on this hospital's images (returns the model, the number of images, the training loss)
    evaluate    tests it on this hospital's images  (returns counts and averages)

The approved configuration, `config`:

    seed           makes everything random repeatable
    split_seed     which patients train and which test
    local_epochs   passes over the training images in a round, 1 if left out
    alone_epochs   for comparison: in the first round, when a hospital is asked to test the first model, which knows
                   nothing yet, it tests a copy that it has trained alone for so many passes; the copy is dropped after
                   the test. 0, which is no comparison, if left out
    round          added by the hospital: 0 for the first model, then 1, 2, ...
"""

import images
import network
import numpy as np
import pandas as pd
import scores
import splits
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

BATCH = 16
LEARNING_RATE = 3e-3
AT_ONCE = 256  # images that are tested together

torch.set_num_threads(1)


def initialize(config: dict) -> network.Arrays:
    """Random first parameters, the same for the same seed."""
    torch.manual_seed(seed_of(config))
    return network.to_arrays(network.build())


def fit(parameters: network.Arrays, table: pd.DataFrame, config: dict) -> tuple[network.Arrays, int, dict[str, float]]:
    """Train on the training patients. Returns the new parameters, how many images trained them, and the mean loss."""
    rows = splits.rows_of("train", table, config["split_seed"])
    if rows.empty:
        raise ValueError("No patient of this table is for training.")
    torch.manual_seed(seed_of(config))  # governs the order of images and how they are varied
    model = network.from_arrays(parameters).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, fused=True)
    x, y = images.inputs(rows), images.labels(rows)
    losses = []
    for _ in range(config.get("local_epochs", 1)):
        for batch in torch.randperm(len(y)).split(BATCH):
            optimizer.zero_grad()
            loss = cross_entropy(model(images.varied(x[batch])).squeeze(1), y[batch])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return network.to_arrays(model), len(rows), {"loss": float(np.mean(losses))}


def evaluate(
    parameters: network.Arrays, table: pd.DataFrame, config: dict
) -> tuple[int, dict[str, float | np.ndarray]]:
    """Test on the test patients. Where all had the same outcome there is no AUC, and the entry is left out."""
    if config["round"] == 1 and (epochs := config.get("alone_epochs", 0)):
        parameters = fit(parameters, table, {**config, "local_epochs": epochs})[0]
    rows = splits.rows_of("test", table, config["split_seed"])
    if rows.empty:
        raise ValueError("No patient of this table is for testing.")
    model, y = network.from_arrays(parameters).eval(), images.labels(rows)
    with torch.no_grad():
        logits = torch.cat([model(x).squeeze(1) for x in images.inputs(rows).split(AT_ONCE)])
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
    """Another number each round."""
    return config["seed"] * 1_000_003 + config["round"]
