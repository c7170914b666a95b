"""A study that a hospital would approve: its answers can be worked out from the table."""

import numpy as np


def initialize(config):
    return {"w": np.zeros(4, np.int64)}


def fit(parameters, table, config):
    total = int(table["days"].sum()) + config["round"]
    return {"w": parameters["w"] + total}, len(table), {"total": float(total)}


def evaluate(parameters, table, config):
    return len(table), {"mean": float(table["days"].mean())}
