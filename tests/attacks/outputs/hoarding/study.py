"""A study that may keep one row of numbers between rounds; `state["act"]` says what it does with that.

Honestly, it counts its rounds in what it keeps, and sends the count.
"""

import numpy as np


def initialize(config):
    return {"w": np.zeros(4, np.float32), "ids": np.zeros(8, np.int64), "act": np.int64(0)}


def fit(state, table, config, kept):
    print(f"fit {config['round']} given {sorted(kept)}", flush=True)
    seen = kept.get("seen", np.zeros(4, np.float64)) + 1
    left = ACTS.get(int(state["act"]), lambda seen, table: {"seen": seen})(seen, table)
    return {**state, "w": state["w"] + seen.astype(np.float32)}, len(table), {}, left


def evaluate(state, table, config, kept):
    kept.get("seen", np.zeros(4))[:] = 1e6  # of no use: only training keeps
    histogram = np.zeros((2, 10), np.int64)
    return len(table), {"loss": 0.5, "score_histogram": histogram, "curve": np.zeros(4)}


ACTS = {
    1: lambda seen, table: {"seen": seen, "rows": table["days"].to_numpy()},
    2: lambda seen, table: {"seen": table["days"].to_numpy().astype(np.float64)},
    3: lambda seen, table: {"seen": seen.astype(np.float32)},
    4: lambda seen, table: {"seen": np.full(4, np.nan)},
    5: lambda seen, table: {},
    6: lambda seen, table: {"../../other/kept/000001": seen},
    7: lambda seen, table: None,
    8: lambda seen, table: {"seen": [1, 2, 3, 4]},
}
