"""The server optimizers' own behaviour; their numbers are checked in test_flower.py."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from datasites.wire.arrays import Arrays
from researcher.strategies import FedAdagrad, FedAdam, FedAvg, FedAvgM, FedYogi, Strategy

Aggregate = Callable[..., tuple[Arrays, Arrays]]
Model = Callable[[int], Arrays]


def test_without_momentum_it_is_fedavg(model: Model, aggregate: Aggregate) -> None:
    updates = {"a": model(1), "b": model(2)}
    ours, _ = aggregate(FedAvgM(1.0, momentum=0.0), model(0), updates)
    for name, array in aggregate(FedAvg(), model(0), updates)[0].items():
        np.testing.assert_allclose(ours[name], array, rtol=1e-6)


def test_a_steady_change_ends_in_ten_times_the_step(aggregate: Aggregate) -> None:
    state, memory = {"w": np.zeros(1)}, {}
    for _ in range(200):
        before = state["w"]
        state, memory = aggregate(FedAvgM(1.0, 0.9), state, {"a": {"w": before + 1}}, memory)
    assert state["w"] - before == pytest.approx(10)


@pytest.mark.parametrize("strategy", [FedAdam(0.01), FedYogi(0.01), FedAdagrad(0.01)], ids=lambda s: s.name)
def test_small_and_large_changes_step_alike(strategy: Strategy, aggregate: Aggregate) -> None:
    after, _ = aggregate(strategy, {"w": np.zeros(3)}, {"a": {"w": np.array([100.0, -1.0, 0.0])}})
    assert after["w"] == pytest.approx([0.01, -0.01, 0], rel=0.02)


@pytest.mark.parametrize(
    "strategy", [FedAvgM(0.5, 0.9), FedAdam(0.05), FedYogi(0.05), FedAdagrad(0.5)], ids=lambda s: s.name
)
def test_quadratics_of_several_hospitals_are_solved(strategy: Strategy, aggregate: Aggregate) -> None:
    """Each hospital steps half way to its own optimum; the mean of these is the optimum of all."""
    optima = {"a": np.array([1.0, 3.0]), "b": np.array([-2.0, 1.0])}
    state, memory = {"w": np.zeros(2)}, {}
    for _ in range(400):
        updates = {hospital: {"w": (state["w"] + optimum) / 2} for hospital, optimum in optima.items()}
        state, memory = aggregate(strategy, state, updates, memory)
    assert state["w"] == pytest.approx([-0.5, 2.0], abs=0.03)
