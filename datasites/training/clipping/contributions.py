"""What each patient adds to one parameter's gradient, kept in the form in which the backward pass leaves it.

A layer's gradient is a sum of simple terms, and neither its norm nor a weighted sum over patients needs the gradients
themselves: for a linear layer, |sum_s g_s a_s^T|^2 = sum_st (a_s . a_t)(g_s . g_t) (Goodfellow 2015; Li et al. 2022,
"Large language models can be strong differentially private learners"), and the weighted sum is one product of
matrices (Bu et al. 2023, "Differentially private optimization on large model at small cost").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

# Below this part of what the square of a sum could be without cancellation, it is computed in float64.
DOUBTFUL = 0.05
# Where a patient's terms cancel to less than this part of their size, float32 sums hold little but rounding errors: the
# norm counts as this part, so that they are clipped too.
CANCELLATION = 1e-5


class Contribution(Protocol):
    """Of P patients to one parameter."""

    def squared_norms(self) -> Tensor:
        """[P], of each patient's gradient."""

    def gradients(self) -> Tensor:
        """[P, *shape], each patient's gradient."""

    def weighted_sum(self, weights: Tensor) -> Tensor:
        """[*shape], the sum of the gradients times `weights` [P]."""

    def without(self, patients: Tensor) -> Contribution:
        """The same with zeros for the marked patients, whose values may not be finite."""


class Direct:
    """Gradients [P, *shape] themselves: of biases, of normalisation, and of small weights."""

    def __init__(self, gradients: Tensor) -> None:
        self._gradients = gradients

    def squared_norms(self) -> Tensor:
        return _norms(self._gradients).square()

    def gradients(self) -> Tensor:
        return self._gradients

    def weighted_sum(self, weights: Tensor) -> Tensor:
        return (weights @ self._gradients.flatten(1)).reshape(self._gradients.shape[1:])

    def without(self, patients: Tensor) -> Direct:
        return Direct(_blank(self._gradients, patients))


class Outer:
    """Sums over s of g_s a_s^T: activations a [P, S, in] and output gradients g [P, S, out] of a weight."""

    def __init__(self, activations: Tensor, outputs: Tensor, shape: torch.Size) -> None:
        self._a, self._g, self._shape = activations, outputs, shape

    def squared_norms(self) -> Tensor:
        if self._a.shape[1] == 1:
            return (_norms(self._a) * _norms(self._g)).square()
        return _squared_norms(lambda a, g: torch.bmm(a, a.mT) * torch.bmm(g, g.mT), self._a, self._g)

    def gradients(self) -> Tensor:
        return torch.bmm(self._g.mT, self._a).reshape(-1, *self._shape)

    def weighted_sum(self, weights: Tensor) -> Tensor:
        a, g, spread = self._a, self._g, weights[:, None, None]
        a, g = (a, g * spread) if g.shape[2] < a.shape[2] else (a * spread, g)  # the smaller one is written anew
        return (g.flatten(0, 1).mT @ a.flatten(0, 1)).reshape(self._shape)

    def without(self, patients: Tensor) -> Outer:
        return Outer(_blank(self._a, patients), _blank(self._g, patients), self._shape)


class Lookup:
    """Sums of g_s in the rows i_s of an embedding: integers i [P, S] and output gradients g [P, S, width]."""

    def __init__(self, rows: Tensor, outputs: Tensor, shape: torch.Size) -> None:
        self._rows, self._g, self._shape = rows, outputs, shape

    def squared_norms(self) -> Tensor:
        if self._rows.shape[1] == 1:
            return _norms(self._g).square()
        return _squared_norms(
            lambda rows, g: torch.bmm(g, g.mT) * (rows[:, :, None] == rows[:, None, :]), self._rows, self._g
        )

    def gradients(self) -> Tensor:
        patients, (height, width) = len(self._rows), self._shape
        places = self._rows + height * torch.arange(patients)[:, None]
        return _add_up(places, self._g, patients * height).reshape(patients, height, width)

    def weighted_sum(self, weights: Tensor) -> Tensor:
        return _add_up(self._rows, self._g * weights[:, None, None], self._shape[0])

    def without(self, patients: Tensor) -> Lookup:
        return Lookup(self._rows, _blank(self._g, patients), self._shape)


def outer(activations: Tensor, outputs: Tensor, shape: torch.Size) -> Contribution:
    """The cheaper of the two forms of a weight's gradients (the mixed rule of Bu et al.): S(in + out) against in * out
    numbers a patient."""
    terms, inside, outside = activations.shape[1], activations.shape[2], outputs.shape[2]
    whole = Outer(activations, outputs, shape)
    return whole if terms == 1 or terms * (inside + outside) < inside * outside else Direct(whole.gradients())


def lookup(rows: Tensor, outputs: Tensor, shape: torch.Size) -> Contribution:
    """The same choice for an embedding: S * S against rows * width numbers a patient."""
    whole = Lookup(rows, outputs, shape)
    return whole if rows.shape[1] ** 2 < shape.numel() or rows.shape[1] == 1 else Direct(whole.gradients())


def _norms(values: Tensor) -> Tensor:
    """[P] of values [P, ...], in one pass: their squares would be written to memory first."""
    norms: Tensor = torch.linalg.vector_norm(values.flatten(1), dim=1)
    return norms


def _squared_norms(products: Callable[[Tensor, Tensor], Tensor], left: Tensor, right: Tensor) -> Tensor:
    """[P] from the inner products [P, S, S] of a patient's terms; in float64 where much of them cancels."""
    between = products(left, right).double()
    squared, size = between.sum((1, 2)), between.diagonal(dim1=1, dim2=2).sqrt().sum(1).square()
    doubtful = squared < DOUBTFUL * size
    if doubtful.any():
        exact = products(_double(left[doubtful]), _double(right[doubtful])).sum((1, 2))
        squared[doubtful] = torch.maximum(exact, CANCELLATION**2 * size[doubtful])
    return squared.float()


def _double(values: Tensor) -> Tensor:
    return values.double() if values.is_floating_point() else values


def _add_up(rows: Tensor, values: Tensor, height: int) -> Tensor:
    return torch.zeros(height, values.shape[-1]).index_add_(0, rows.flatten(), values.flatten(0, 1))


def _blank(values: Tensor, patients: Tensor) -> Tensor:
    return values.masked_fill(patients.reshape(-1, *[1] * (values.dim() - 1)), 0)
