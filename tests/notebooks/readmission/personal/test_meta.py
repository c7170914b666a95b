"""Per-FedAvg's gradient against the exact one, which differentiates through the adapting step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.func import functional_call

from tests.support.studies import modules_of

FOLDER = Path(__file__).parents[4] / "notebooks" / "readmission" / "personal" / "per_fedavg"
RATE = 0.3


@pytest.fixture(scope="module")
def meta() -> Iterator[SimpleNamespace]:
    with modules_of(FOLDER) as modules:
        yield modules.meta


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 1)).double()


@pytest.fixture(scope="module")
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(40, 5, generator=draw, dtype=torch.float64)
    return x, (x[:, 0] * x[:, 1] > 0).double()


def _loss(model: nn.Module, weights, batch) -> torch.Tensor:
    x, y = batch
    return nn.functional.binary_cross_entropy_with_logits(functional_call(model, weights, (x,)).squeeze(1), y)


def _gradient(model: nn.Module, batch):
    def gradient(weights):
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in weights.items()}
        return dict(zip(leaves, torch.autograd.grad(_loss(model, leaves, batch), list(leaves.values())), strict=True))

    return gradient


def _exact(model: nn.Module, weights, batch):
    """∇F by PyTorch's own second derivatives."""
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in weights.items()}
    values = list(leaves.values())
    inner = torch.autograd.grad(_loss(model, leaves, batch), values, create_graph=True)
    adapted = {name: w - RATE * g for (name, w), g in zip(leaves.items(), inner, strict=True)}
    return dict(zip(leaves, torch.autograd.grad(_loss(model, adapted, batch), values), strict=True))


def _distance(one, other) -> float:
    """Relative to `other`."""
    length = sum(float(tensor.square().sum()) for tensor in other.values())
    return (sum(float((one[name] - other[name]).square().sum()) for name in other) / length) ** 0.5


def test_hessian_free_is_the_exact_gradient_and_first_order_is_not(meta, model, batch) -> None:
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
    gradient, exact = _gradient(model, batch), _exact(model, weights, batch)
    first_order = meta.meta_gradient(weights, gradient, gradient, gradient, RATE, None)
    hessian_free = meta.meta_gradient(weights, gradient, gradient, gradient, RATE, 1e-4)
    assert _distance(hessian_free, exact) < 1e-6
    assert _distance(first_order, exact) > 0.01
    adapted = {name: w - RATE * gradient(weights)[name] for name, w in weights.items()}
    assert _distance(first_order, gradient(adapted)) == 0


def test_the_error_falls_with_the_square_of_the_difference(meta, model, batch) -> None:
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
    gradient, exact = _gradient(model, batch), _exact(model, weights, batch)
    coarse, fine = (
        _distance(meta.meta_gradient(weights, gradient, gradient, gradient, RATE, d), exact) for d in (0.4, 0.04)
    )
    assert coarse / fine == pytest.approx(100, rel=0.2)


def test_a_flat_place_has_no_curvature_to_ask_for(meta) -> None:
    weights = {"w": torch.ones(3)}
    flat = {"w": torch.zeros(3)}
    found = meta.meta_gradient(weights, lambda _: flat, lambda _: flat, lambda _: flat, RATE, 1e-3)
    assert found["w"].tolist() == [0.0, 0.0, 0.0]
