"""A small request of the private tier, and a table for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from datasites.training.prepare import Rows
from datasites.wire.graph import Graph
from datasites.wire.preparation import NumberInput, Preparation, Target
from datasites.wire.training import Evaluation, Optimizer, Training

WIDTH = 3


def linear(width: int) -> Graph:
    return Graph.model_validate(
        {
            "input": {"shape": [width]},
            "nodes": [{"op": "linear", "inputs": [0], "weight": "weight", "bias": "bias"}],
            "parameters": {"weight": [1, width], "bias": [1]},
            "output": 1,
        }
    )


GRAPH = linear(WIDTH)
PREPARATION = Preparation(
    inputs=tuple(NumberInput(column=f"x{number}") for number in range(WIDTH)), target=Target(column="y")
)


def training(**changes: Any) -> Training:
    fields: dict[str, Any] = {
        "graph": GRAPH,
        "preparation": PREPARATION,
        "optimizer": Optimizer(learning_rate=0.5),
        "steps": 4,
        "sampling_rate": 0.5,
        "expected_lot": 50.0,
        "clip": 1.5,
        "noise_multiplier": 1.0,
        "encounters": 2,
        "evaluation": Evaluation(edges=(0.2, 0.4, 0.6, 0.8), noise_multiplier=4.0, encounters=2),
    }
    return Training(**{**fields, **changes})


def rows(patients: int, seed: int = 0, size: float = 3.0) -> Rows:
    """Patient i has 1 + i % 4 encounters."""
    rng = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(patients), 1 + np.arange(patients) % 4)
    inputs = np.clip(rng.normal(size=(len(numbers), WIDTH)) * size, -5, 5).astype(np.float32)
    targets = (rng.random(len(numbers)) < 1 / (1 + np.exp(-inputs[:, 0]))).astype(np.float32)
    return Rows(inputs, targets, numbers.astype(np.int64))


def state(weight: float = 0.3) -> dict[str, np.ndarray]:
    return {"weight": np.full((1, WIDTH), weight, np.float32), "bias": np.zeros(1, np.float32)}
