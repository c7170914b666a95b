"""Every strategy against Flower's own numbers on the same updates, see flower_reference.py."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasites.wire.arrays import Arrays
from researcher.strategies import (
    FedAdagrad,
    FedAdam,
    FedAvg,
    FedAvgM,
    FedYogi,
    Krum,
    Median,
    MultiKrum,
    Strategy,
    TrimmedMean,
    Update,
)

FLOWER = json.loads((Path(__file__).parent / "flower_reference.json").read_bytes())
OURS: list[Strategy] = [
    FedAvg(),
    FedAvgM(learning_rate=0.7, momentum=0.8),
    FedAdam(learning_rate=0.05, beta_1=0.8, beta_2=0.95, tau=1e-3),
    FedYogi(learning_rate=0.05, beta_1=0.8, beta_2=0.95, tau=1e-3),
    FedAdagrad(learning_rate=0.05, tau=1e-3),
    Median(),
    TrimmedMean(0.25),
    Krum(byzantine=1),
    MultiKrum(byzantine=1, keep=2),
]


@pytest.mark.parametrize("ours", OURS, ids=lambda strategy: strategy.name)
def test_three_rounds_are_those_of_flower(ours: Strategy) -> None:
    state, memory = _arrays(FLOWER["initial"]), {}
    for number, theirs in enumerate(FLOWER["states"][ours.name], start=1):
        aggregation = _as_flower_steps(ours, number).begin(state, memory)
        for hospital, update in enumerate(FLOWER["updates"][number - 1]):
            aggregation.add(Update(f"h{hospital}", _arrays(update), FLOWER["examples"][hospital]))
        state, memory = aggregation.result()
        for name, expected in _arrays(theirs).items():
            np.testing.assert_allclose(state[name], expected, rtol=1e-12, atol=1e-14)


def test_every_strategy_has_numbers_of_flower() -> None:
    assert FLOWER["states"].keys() == {strategy.name for strategy in OURS}
    assert FLOWER["flwr"] == "1.41.0"


def _as_flower_steps(strategy: Strategy, number: int) -> Strategy:
    """Flower multiplies FedAdam's learning rate by a correction of bias that the paper does not have."""
    if not isinstance(strategy, FedAdam):
        return strategy
    correction = np.sqrt(1 - strategy.beta_2 ** (number + 1)) / (1 - strategy.beta_1 ** (number + 1))
    return replace(strategy, learning_rate=strategy.learning_rate * float(correction))


def _arrays(listed: list[Any]) -> Arrays:
    return {f"layer.{index}": np.asarray(values) for index, values in enumerate(listed)}
