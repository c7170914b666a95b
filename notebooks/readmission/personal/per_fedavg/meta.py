"""The gradient of Per-FedAvg: Fallah, Mokhtari and Ozdaglar (2020), Personalized Federated Learning with Theoretical
Guarantees.

A hospital will adapt the shared model w by one step of its own, w - a ∇f(w). So what is to be small is f at the
adapted model, F(w) = f(w - a ∇f(w)), whose gradient is (I - a ∇²f(w)) ∇f(w - a ∇f(w)). Without second derivatives:

    FO  first-order: the Hessian is left out
    HF  Hessian-free: ∇²f(w) v ≈ (∇f(w + d v) - ∇f(w - d v)) / 2d, for a small d
"""

from collections.abc import Callable

import torch

Weights = dict[str, torch.Tensor]
Gradient = Callable[[Weights], Weights]


def plus(weights: Weights, step: float, along: Weights) -> Weights:
    """weights + step * along, as new tensors."""
    return {name: tensor + step * along[name] for name, tensor in weights.items()}


def meta_gradient(
    weights: Weights, inner: Gradient, outer: Gradient, curvature: Gradient, rate: float, difference: float | None
) -> Weights:
    """∇F(weights). inner, outer, curvature: ∇f on three batches of their own: for the adapting step, at the adapted
    model, and for the Hessian. rate: a. difference: the length of d v; None leaves the Hessian out (FO)."""
    gradient = outer(plus(weights, -rate, inner(weights)))
    if difference is None:
        return gradient
    length = torch.sqrt(sum((g.square().sum() for g in gradient.values()), torch.zeros(()))).item()
    if length == 0:
        return gradient
    d = difference / length
    ahead, behind = curvature(plus(weights, d, gradient)), curvature(plus(weights, -d, gradient))
    return {name: g - rate * (ahead[name] - behind[name]) / (2 * d) for name, g in gradient.items()}
