"""What patients contribute to a layer's parameters, from the layer's input and the gradient of its output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from datasites.training.clipping.contributions import Contribution, Direct, lookup, outer
from datasites.training.operations import rows_of
from datasites.wire.graph import Node, layers

Contributions = Iterator[tuple[str, Contribution]]
Parameters = dict[str, Tensor]


def supported(node: Node) -> bool:
    """True for operations without parameters, and layers that `contributions` knows."""
    return not node.uses() or type(node) in _LAYERS


def contributions(node: Node, x: Tensor, g: Tensor, patients: int, parameters: Parameters) -> Contributions:
    """Parameter names with what `patients` patients contribute.

    x  [patients * K, ...] the layer's input: K rows of the first patient, then of the second, and so on
    g  [patients * K, ...] the gradient of the sum of losses by the layer's output
    """
    yield from _LAYERS[type(node)](node, x, g, patients, parameters)


def _linear(node: layers.Linear, x: Tensor, g: Tensor, patients: int, parameters: Parameters) -> Contributions:
    weight = parameters[node.weight]
    outputs = g.reshape(patients, -1, weight.shape[0])
    yield node.weight, outer(x.reshape(patients, -1, weight.shape[1]), outputs, weight.shape)
    if node.bias is not None:
        yield node.bias, _direct(outputs, 1)


def _convolution(
    node: layers.Convolution, x: Tensor, g: Tensor, patients: int, parameters: Parameters
) -> Contributions:
    weight, groups = parameters[node.weight], node.groups
    g = g.flatten(2)  # [rows, out, places]
    windows = _windows(node, x, weight)  # [rows, in * kernel, places]
    if groups == 1:
        yield node.weight, outer(_by_patient(windows, patients), _by_patient(g, patients), weight.shape)
    else:
        outputs, inputs = (_by_patient(whole, patients) for whole in (g, windows))
        parts = [whole.reshape(*whole.shape[:2], groups, -1) for whole in (outputs, inputs)]
        yield node.weight, Direct(torch.einsum("psgo,psgi->pgoi", *parts).reshape(patients, *weight.shape))
    if node.bias is not None:
        yield node.bias, _direct(g.reshape(patients, -1, *g.shape[1:]), (1, 3))


def _windows(node: layers.Convolution, x: Tensor, weight: Tensor) -> Tensor:
    """What the kernel sees at each place."""
    kernel, dilation, padding, stride = tuple(weight.shape[2:]), node.dilation, node.padding, node.stride
    if len(kernel) == 1:  # unfold knows two axes
        x = x.unsqueeze(2)
        kernel, dilation, padding, stride = (1, *kernel), (1, *dilation), (0, *padding), (1, *stride)
    return functional.unfold(x, kernel, dilation, padding, stride)


def _by_patient(whole: Tensor, patients: int) -> Tensor:
    """[rows, width, places] as [patients, K * places, width]."""
    return whole.mT.reshape(patients, -1, whole.shape[1])


def _embedding(node: layers.Embedding, x: Tensor, g: Tensor, patients: int, parameters: Parameters) -> Contributions:
    weight = parameters[node.weight]
    rows = rows_of(x, weight).reshape(patients, -1)
    outputs = g.reshape(patients, -1, weight.shape[1])
    if node.padding_index is not None:
        outputs = outputs.masked_fill((rows == node.padding_index)[:, :, None], 0)
    yield node.weight, lookup(rows, outputs, weight.shape)


def _layer_norm(node: layers.LayerNorm, x: Tensor, g: Tensor, patients: int, parameters: Parameters) -> Contributions:
    if node.weight is not None:
        normal = functional.layer_norm(x, list(node.shape), None, None, node.epsilon)
        yield node.weight, _direct(normal.mul_(g).reshape(patients, -1, *node.shape), 1)
    if node.bias is not None:
        yield node.bias, _direct(g.reshape(patients, -1, *node.shape), 1)


def _group_norm(node: layers.GroupNorm, x: Tensor, g: Tensor, patients: int, parameters: Parameters) -> Contributions:
    spread = (patients, x.shape[0] // patients, x.shape[1], -1)
    if node.weight is not None:
        normal = functional.group_norm(x, node.groups, None, None, node.epsilon)
        yield node.weight, _direct(normal.mul_(g).reshape(spread), (1, 3))
    if node.bias is not None:
        yield node.bias, _direct(g.reshape(spread), (1, 3))


def _direct(terms: Tensor, axes: int | tuple[int, ...]) -> Direct:
    """The sum over axes, which costs nothing where there is one term."""
    single = isinstance(axes, int) and terms.shape[axes] == 1
    return Direct(terms.squeeze(axes) if single else terms.sum(axes))


_LAYERS: dict[type[Node], Callable[[Any, Tensor, Tensor, int, Parameters], Contributions]] = {
    layers.Linear: _linear,
    layers.Convolution: _convolution,
    layers.Embedding: _embedding,
    layers.LayerNorm: _layer_norm,
    layers.GroupNorm: _group_norm,
}
