"""Predict readmission within 30 days by a linear model that each hospital makes its own: all of it in NumPy.

    adapt_rate of 0   FedAvg: the model that is best on average
    adapt_rate above  Per-FedAvg, first-order (Fallah et al. 2020): the model that is best after a step on a hospital's
                      own patients; each training step looks where such a step leads, and goes by the gradient there
    tuning_steps      before the test a copy is trained on the hospital's own training patients, and dropped after it.
                      The test of round 0 is then of a model that nobody else has trained: the hospital alone

The approved configuration, `config`:

    seed           makes everything random repeatable
    split_seed     which patients train and which test
    local_steps    of 256 rows drawn at random; 100 if left out
    learning_rate  0.2 if left out
    adapt_rate     0 if left out
    tuning_steps   0 if left out
    evaluate_on    "test" (if left out) or "validation"
    round          added by the hospital
"""

import features
import numpy as np
import pandas as pd
import report
import splits

Arrays = dict[str, np.ndarray]
BATCH = 256
PENALTY = np.append(np.full(len(features.FEATURES), 1e-4), 0.0)  # none on the intercept


def initialize(config: dict) -> Arrays:
    """All zeros: there is nothing random in it."""
    return {"weight": np.zeros(len(features.FEATURES)), "intercept": np.zeros(1)}


def fit(parameters: Arrays, table: pd.DataFrame, config: dict) -> tuple[Arrays, int, dict[str, float]]:
    """Train on the training patients. Returns the new parameters, how many rows trained them, and their mean loss."""
    x, y = _rows("train", table, config)
    w = _trained(_joined(parameters), x, y, config, config.get("local_steps", 100), config.get("adapt_rate", 0.0))
    return {"weight": w[:-1], "intercept": w[-1:]}, len(y), {"loss": report.loss(x @ w, y)}


def evaluate(parameters: Arrays, table: pd.DataFrame, config: dict) -> tuple[int, dict[str, float | np.ndarray]]:
    """Tunes a copy on the training patients, if it is to, and tests it on the test patients."""
    w = _trained(_joined(parameters), *_rows("train", table, config), config, config.get("tuning_steps", 0), 0.0)
    x, y = _rows(config.get("evaluate_on", "test"), table, config)
    return len(y), report.report(x @ w, y)


def _trained(w: np.ndarray, x: np.ndarray, y: np.ndarray, config: dict, steps: int, adapt: float) -> np.ndarray:
    """w after so many steps. Each takes two batches where it looks ahead."""
    draw, rate = np.random.default_rng([config["seed"], config["round"]]), config.get("learning_rate", 0.2)
    for _ in range(steps):
        ahead = w - adapt * _gradient(w, x, y, draw) if adapt else w
        w = w - rate * _gradient(ahead, x, y, draw)
    return w


def _gradient(w: np.ndarray, x: np.ndarray, y: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Of the loss on a batch: shape (43,), the intercept's last."""
    batch = draw.integers(len(y), size=BATCH)
    return x[batch].T @ (report.probability(x[batch] @ w) - y[batch]) / BATCH + PENALTY * w


def _rows(split: str, table: pd.DataFrame, config: dict) -> tuple[np.ndarray, np.ndarray]:
    """Inputs of shape (rows, 43), the last one 1 throughout, and outcomes of shape (rows,)."""
    rows = splits.rows_of(split, table, config["split_seed"])
    x, y = features.inputs(rows).astype(np.float64), features.labels(rows).astype(np.float64)
    return np.column_stack([x, np.ones(len(x))]), y


def _joined(parameters: Arrays) -> np.ndarray:
    return np.concatenate([parameters["weight"], parameters["intercept"]])
