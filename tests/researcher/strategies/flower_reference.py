"""Makes flower_reference.json: what Flower's own strategies answer to the same updates.

Flower pins other versions of libraries than this project, so it has an environment of its own:

    python3 -m venv .venv-flower && .venv-flower/bin/pip install flwr==1.41.0
    .venv-flower/bin/python tests/researcher/strategies/flower_reference.py

Three rounds of five hospitals. The updates are random numbers, and the same for all strategies; each strategy has a
model of its own, which only the server optimizers look at. Float64 throughout, so that only formulas can differ.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
from flwr.common import Code, FitRes, Status, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.server.strategy import FedAdagrad, FedAdam, FedAvg, FedAvgM, FedMedian, FedTrimmedAvg, FedYogi, Krum

ROUNDS, HOSPITALS, SHAPES = 3, 5, ((4, 3), (3,))
EXAMPLES = [120, 80, 400, 35, 210]
# Flower names the settings otherwise; those of ours stand beside the numbers
STRATEGIES: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "FedAvg": (FedAvg, {}),
    "FedAvgM": (FedAvgM, {"server_learning_rate": 0.7, "server_momentum": 0.8}),
    "FedAdam": (FedAdam, {"eta": 0.05, "beta_1": 0.8, "beta_2": 0.95, "tau": 1e-3}),
    "FedYogi": (FedYogi, {"eta": 0.05, "beta_1": 0.8, "beta_2": 0.95, "tau": 1e-3}),
    "FedAdagrad": (FedAdagrad, {"eta": 0.05, "tau": 1e-3}),
    "Median": (FedMedian, {}),
    "TrimmedMean": (FedTrimmedAvg, {"beta": 0.25}),
    "Krum": (Krum, {"num_malicious_clients": 1}),
    "MultiKrum": (Krum, {"num_malicious_clients": 1, "num_clients_to_keep": 2}),
}


def main() -> None:
    rng = np.random.default_rng(20)
    initial = [rng.normal(size=shape) for shape in SHAPES]
    rounds = [[[rng.normal(size=shape) for shape in SHAPES] for _ in range(HOSPITALS)] for _ in range(ROUNDS)]
    found = {
        "flwr": version("flwr"),
        "examples": EXAMPLES,
        "initial": listed(initial),
        "updates": [[listed(update) for update in updates] for updates in rounds],
        "states": {name: states(name, initial, rounds) for name in STRATEGIES},
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(found) + "\n")


def states(name: str, initial: list[np.ndarray], rounds: list[list[list[np.ndarray]]]) -> list[list[Any]]:
    """The state after each round."""
    kind, settings = STRATEGIES[name]
    # Multi-Krum's mean is weighted in Flower, and plain in the paper and in ours: equal weights show the same choice
    examples = [1] * HOSPITALS if name == "MultiKrum" else EXAMPLES
    strategy = kind(initial_parameters=ndarrays_to_parameters(initial), **settings)
    found = []
    for number, updates in enumerate(rounds, start=1):
        results = [
            (Mock(), FitRes(Status(Code.OK, ""), ndarrays_to_parameters(update), n, {}))
            for update, n in zip(updates, examples, strict=True)
        ]
        parameters, _ = strategy.aggregate_fit(number, results, [])
        found.append(listed(parameters_to_ndarrays(parameters)))
    return found


def listed(arrays: list[np.ndarray]) -> list[Any]:
    return [array.tolist() for array in arrays]


if __name__ == "__main__":
    main()
