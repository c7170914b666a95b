from __future__ import annotations

from collections.abc import Callable, Mapping

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

AVERAGING: list[Strategy] = [FedAvg(), FedAvgM(), FedAdam(), FedYogi(), FedAdagrad()]
TOGETHER: list[Strategy] = [Median(), TrimmedMean(0.25), Krum(1), MultiKrum(1)]
ALL = [*AVERAGING, *TOGETHER]
Model = Callable[[int], Arrays]


@pytest.fixture(params=ALL, ids=lambda strategy: strategy.name)
def strategy(request: pytest.FixtureRequest) -> Strategy:
    """Every strategy, one after another."""
    found: Strategy = request.param
    return found


@pytest.fixture
def model() -> Model:
    return _model


def _model(seed: int) -> Arrays:
    """A small network's state with BatchNorm's buffers, and arrays of other kinds."""
    rng = np.random.default_rng(seed)
    return {
        "0.weight": rng.normal(size=(5, 3)).astype(np.float32),
        "0.bias": rng.normal(size=3),
        "1.running_mean": rng.normal(size=3).astype(np.float32),
        "1.running_var": rng.uniform(0.01, 2, size=3).astype(np.float32),
        "1.num_batches_tracked": np.asarray(rng.integers(0, 100)),
        "scale": np.asarray(rng.normal()),
        "on": rng.integers(0, 2, 4).astype(bool),
        "none": np.zeros((0, 2), np.float32),
    }


def aggregated(
    strategy: Strategy, current: Arrays, updates: Mapping[str, Arrays], memory: Arrays | None = None, examples: int = 10
) -> tuple[Arrays, Arrays]:
    """One round in which each hospital claims as many examples."""
    aggregation = strategy.begin(current, memory or {})
    for hospital, parameters in updates.items():
        aggregation.add(Update(hospital, parameters, examples))
    return aggregation.result()


@pytest.fixture
def aggregate() -> Callable[..., tuple[Arrays, Arrays]]:
    return aggregated
