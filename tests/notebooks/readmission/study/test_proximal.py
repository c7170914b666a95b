"""FedProx on least squares at three hospitals that differ, where every fixed point can be written down.

Hospital k has the loss 1/2 (x - c_k)' A_k (x - c_k) and trains until nothing moves. FedAvg then ends in the mean of the
hospitals' own optima c_k, not in the optimum of all, x* = (sum A_k)^-1 sum A_k c_k. FedProx ends where
sum (A_k + mu I)^-1 A_k (c_k - x) = 0, which tends to x* as mu grows.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from datasites.wire.arrays import Arrays
from researcher.strategies import FedAvg, Update

# mu -> rounds and local steps until nothing moves: a strong spring needs more of the one and fewer of the other
UNTIL_STILL = {0.0: (2, 150), 0.3: (25, 70), 1.0: (35, 40), 3.0: (75, 22), 10.0: (200, 12)}


class _Point(torch.nn.Module):
    def __init__(self, x: np.ndarray[Any, Any]) -> None:
        super().__init__()
        self.x = torch.nn.Parameter(torch.tensor(x))


def _hospitals() -> list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    rng = np.random.default_rng(5)
    found = []
    for eigenvalues in ((3.0, 0.3), (0.5, 2.0), (0.4, 1.0)):
        turn, _ = np.linalg.qr(rng.normal(size=(2, 2)))
        found.append((turn @ np.diag(eigenvalues) @ turn.T, rng.normal(size=2) * 3))
    return found


def _optimum() -> np.ndarray[Any, Any]:
    matrices, optima = zip(*_hospitals(), strict=True)
    return np.asarray(np.linalg.solve(sum(matrices), sum(a @ c for a, c in zip(matrices, optima, strict=True))))


def _fixed_point(mu: float) -> np.ndarray[Any, Any]:
    pulls = [(np.linalg.solve(a + mu * np.eye(2), a), c) for a, c in _hospitals()]
    return np.asarray(np.linalg.solve(sum(pull for pull, _ in pulls), sum(pull @ c for pull, c in pulls)))


def _trained(code: SimpleNamespace, mu: float) -> np.ndarray[Any, Any]:
    """Where rounds of many local steps of gradient descent end, with the study's own term and FedAvg."""
    state: Arrays = {"x": np.zeros(2)}
    for _ in range(UNTIL_STILL[mu][0]):
        aggregation = FedAvg().begin(state, {})
        for index, (a, c) in enumerate(_hospitals()):
            aggregation.add(Update(f"h{index}", {"x": _fit(code, state["x"], a, c, mu)}, 100))
        state, _ = aggregation.result()
    return state["x"]


def _fit(
    code: SimpleNamespace,
    start: np.ndarray[Any, Any],
    matrix: np.ndarray[Any, Any],
    optimum: np.ndarray[Any, Any],
    mu: float,
) -> np.ndarray[Any, Any]:
    model, a, c = _Point(start), torch.tensor(matrix), torch.tensor(optimum)
    spring = code.proximal.Proximal(model, mu)
    rate = 1.0 / (3.0 + mu)  # the inverse of the largest curvature
    for _ in range(UNTIL_STILL[mu][1]):
        away = model.x - c
        (gradient,) = torch.autograd.grad(away @ a @ away / 2 + spring.loss(), model.x)
        with torch.no_grad():
            model.x -= rate * gradient
    return model.x.detach().numpy()


@pytest.mark.parametrize("mu", UNTIL_STILL)
def test_it_ends_where_theory_says(code: SimpleNamespace, mu: float) -> None:
    np.testing.assert_allclose(_trained(code, mu), _fixed_point(mu), atol=3e-4)


def test_fedavg_is_far_from_the_optimum_and_fedprox_nearer_the_stronger_it_is() -> None:
    distance = [float(np.linalg.norm(_fixed_point(mu) - _optimum())) for mu in (*UNTIL_STILL, 1000.0)]
    assert distance[0] > 0.3
    assert distance == sorted(distance, reverse=True)
    assert 0 < distance[-1] < 0.01


def test_without_mu_training_is_what_it_was_and_with_it_stays_nearer(
    code: SimpleNamespace, study_table: pd.DataFrame
) -> None:
    config = {"seed": 1, "split_seed": 1, "local_epochs": 2, "round": 1}
    start = code.study.initialize(config)

    def moved(**more: float) -> tuple[float, Arrays]:
        trained, *_ = code.study.fit(start, study_table, {**config, **more})
        weights = [name for name in start if name.endswith(("weight", "bias"))]
        return float(sum(((trained[name] - start[name]) ** 2).sum() for name in weights)), trained

    free, plain = moved()
    _, zero = moved(proximal_mu=0)
    assert all(np.array_equal(plain[name], zero[name]) for name in plain)
    assert free > 1.5 * moved(proximal_mu=0.1)[0] > 1.5 * moved(proximal_mu=10.0)[0]


@pytest.mark.parametrize("mu", [-1.0, float("nan"), float("inf")])
def test_a_mu_that_is_none_is_told(code: SimpleNamespace, mu: float) -> None:
    with pytest.raises(ValueError, match="mu must be a number of 0 or more"):
        code.proximal.Proximal(torch.nn.Linear(1, 1), mu)
