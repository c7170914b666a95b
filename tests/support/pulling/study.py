"""Each hospital pulls the state to a place of its own: to `places` by its site, or to 0 where none is given."""

import numpy as np


def initialize(config):
    return {"w": np.full(8, 0.3)}


def fit(parameters, table, config):
    place = config.get("places", {}).get(str(table["site"].iloc[0]), 0.0)
    noise = 0.02 * np.random.normal(size=8)
    return {"w": parameters["w"] + 0.5 * (place - parameters["w"]) + noise}, 10, {}


def evaluate(parameters, table, config):
    return len(table), {"mean": float(parameters["w"].mean())}
