"""Predict readmission within 30 days by logistic regression, in NumPy alone: a page of code to read.

No framework is loaded, so a hospital is ready for it sooner. A model is one weight for each input, and an intercept.
Each round takes `local_steps` steps of gradient descent on batches of this hospital's training patients.

The approved configuration, `config`:

    seed           makes everything random repeatable
    split_seed     which patients train and which test
    local_steps    steps in a round, 100 if left out
    learning_rate  0.2 if left out
    penalty        of the squared weights, 0.0001 if left out
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


def initialize(config: dict) -> Arrays:
    """All zeros: there is nothing random in it."""
    return {"weight": np.zeros(len(features.FEATURES)), "intercept": np.zeros(1)}


def fit(parameters: Arrays, table: pd.DataFrame, config: dict) -> tuple[Arrays, int, dict[str, float]]:
    """Train on the training patients. Returns the new parameters, how many rows trained them, and their mean loss."""
    rows = splits.rows_of("train", table, config["split_seed"])
    x, y = features.inputs(rows).astype(np.float64), features.labels(rows).astype(np.float64)
    weight, intercept = parameters["weight"].copy(), parameters["intercept"].copy()
    rate, penalty = config.get("learning_rate", 0.2), config.get("penalty", 1e-4)
    draw = np.random.default_rng([config["seed"], config["round"]])
    for _ in range(config.get("local_steps", 100)):
        batch = draw.integers(len(y), size=BATCH)
        error = report.probability(x[batch] @ weight + intercept) - y[batch]
        weight -= rate * (x[batch].T @ error / BATCH + penalty * weight)
        intercept -= rate * error.mean()
    return {"weight": weight, "intercept": intercept}, len(y), {"loss": report.loss(x @ weight + intercept, y)}


def evaluate(parameters: Arrays, table: pd.DataFrame, config: dict) -> tuple[int, dict[str, float | np.ndarray]]:
    """Test on the test patients."""
    rows = splits.rows_of(config.get("evaluate_on", "test"), table, config["split_seed"])
    logit = features.inputs(rows) @ parameters["weight"] + parameters["intercept"]
    return len(rows), report.report(logit, features.labels(rows))
