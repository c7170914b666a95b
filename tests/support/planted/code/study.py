"""Logistic regression on two columns. Which sign the first has is planted in the tables."""

import numpy as np


def initialize(config):
    return {"w": np.zeros(3)}


def _inputs(table):
    return np.column_stack([np.ones(len(table)), table["x"], table["z"]])


def _risk(parameters, table):
    return 1 / (1 + np.exp(-_inputs(table) @ parameters["w"]))


def _split(table, test):
    return table[(table["patient"] % 4 == 0) == test]


def fit(parameters, table, config):
    rows = _split(table, False)
    w = parameters["w"].copy()
    for _ in range(20):
        w -= 0.5 * _inputs(rows).T @ (_risk({"w": w}, rows) - rows["y"]) / len(rows)
    return {"w": w}, len(rows), {}


def evaluate(parameters, table, config):
    rows = _split(table, True)
    risk, y = np.clip(_risk(parameters, rows), 1e-6, 1 - 1e-6), rows["y"].to_numpy()
    cells = np.minimum((risk * 50).astype(int), 49) + 50 * y
    histogram = np.bincount(cells.astype(int), minlength=100).reshape(2, 50)
    loss = -np.mean(np.where(y == 1, np.log(risk), np.log(1 - risk)))
    return len(rows), {"loss": float(loss), "score_histogram": histogram.astype(np.int64)}
