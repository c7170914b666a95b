"""Logistic regression by local SGD, in NumPy: a light study, of which hundreds of runs can be made.

It stands beside `features.py` and `splits.py` of the readmission study.
"""

import features
import numpy as np
import pandas as pd
import splits

BATCH = 256


def initialize(config: dict) -> dict:
    return {"weight": np.random.normal(0, 0.05, 42), "bias": np.array(-2.0)}


def fit(parameters: dict, table: pd.DataFrame, config: dict) -> tuple[dict, int, dict]:
    rows = splits.rows_of("train", table, config["split_seed"])
    x, y = features.inputs(rows).astype(float), features.labels(rows).astype(float)
    weight, bias = parameters["weight"].copy(), parameters["bias"].copy()
    for batch in np.array_split(np.random.permutation(len(y)), max(1, len(y) // BATCH))[: config["max_batches"]]:
        error = 1 / (1 + np.exp(-(x[batch] @ weight + bias))) - y[batch]
        weight -= config["learning_rate"] * x[batch].T @ error / len(batch)
        bias -= config["learning_rate"] * error.mean()
    return {"weight": weight, "bias": bias}, len(y), {}


def evaluate(parameters: dict, table: pd.DataFrame, config: dict) -> tuple[int, dict]:
    rows = splits.rows_of("test", table, config["split_seed"])
    return len(rows), {"mean": float(np.mean(features.inputs(rows) @ parameters["weight"] + parameters["bias"]))}
