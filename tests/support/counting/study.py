"""A study that counts: whole numbers only, so that sums over hospitals are exact in any order.

`config["acts"]` maps a hospital's site to what goes wrong there: {"1": {"act": "raise", "rounds": [2]}}. A mock twin,
where the sites are mixed, always behaves. Every training is noted in the log.
"""

import time

import numpy as np

PRIME = 1_000_003


def initialize(config):
    return {"w": np.arange(4, dtype=np.int64), "b": np.float64(0.0)}


def fit(parameters, table, config):
    print(f"fit {config['round']}", flush=True)
    time.sleep(config.get("pause", 0))
    act = _act(table, config)
    w = (parameters["w"] * 31 + int(table["days"].sum()) + config["round"] + np.arange(4)) % PRIME
    trained, metrics = {"w": w, "b": np.float64(w[0])}, {"total": float(w.sum())}
    if act == "raise":
        raise ValueError(leak(table))
    if act == "sleep":
        time.sleep(config["seconds"])
    if act == "unchanged":
        trained = parameters
    if act == "nan":
        trained["b"] = np.float64("nan")
    if act == "shape":
        trained["w"] = w[:3]
    if act == "metric":
        metrics["extra"] = 1.0
    if act == "huge":
        trained["w"] = np.zeros(10**8, np.int64)
    return trained, len(table), metrics


def evaluate(parameters, table, config):
    scores = (table["days"].to_numpy() * 13 + int(parameters["w"][1]) + config["round"]) % 10
    histogram = np.zeros((2, 10), np.int64)
    np.add.at(histogram, (table["readmitted"].to_numpy(), scores), 1)
    return len(table), {"mean_score": float(scores.sum()) / len(table), "score_histogram": histogram}


def leak(table):
    """A text that only somebody who has the table can know."""
    return f"leak-{int((table['days'] * 7919).sum())}"


def _act(table, config):
    sites = table["site"].unique()
    act = config.get("acts", {}).get(str(sites[0])) if len(sites) == 1 else None
    return act["act"] if act and config["round"] in act.get("rounds", [config["round"]]) else None
