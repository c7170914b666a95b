"""A model of many parameters whose training is nothing: what is left of a round is its way."""

from typing import Any

import numpy as np

LAYERS = 25


def initialize(config: dict[str, Any]) -> dict[str, np.ndarray]:
    return {f"layer{i}": np.zeros(config["million"] * 1_000_000 // LAYERS, config["dtype"]) for i in range(LAYERS)}


def fit(
    parameters: dict[str, np.ndarray], table: Any, config: dict[str, Any]
) -> tuple[dict[str, np.ndarray], int, dict]:
    step = len(table) / 1e6
    return {name: array + array.dtype.type(step) for name, array in parameters.items()}, len(table), {}


def evaluate(parameters: dict[str, np.ndarray], table: Any, config: dict[str, Any]) -> tuple[int, dict[str, float]]:
    return len(table), {"loss": float(parameters["layer0"][0])}
