"""How each operation of a graph is computed: one function for each, over a batch whose first axis is the rows.

Axes and shapes in a graph are those of one row, so every axis moves up by one here, and none of them can be the rows'.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from datasites.wire.graph import layers, pointwise, shaping
from datasites.wire.graph.base import Node

Parameters = Mapping[str, Tensor]
Inputs = list[Tensor]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "relu6": functional.relu6,
    "selu": functional.selu,
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "silu": functional.silu,
    "mish": functional.mish,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "hardswish": functional.hardswish,
    "hardsigmoid": functional.hardsigmoid,
    "softsign": functional.softsign,
    "log_sigmoid": functional.logsigmoid,
}
COMBINATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add,
    "subtract": torch.sub,
    "multiply": torch.mul,
    "divide": torch.div,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
}
REDUCTIONS: dict[str, Callable[..., Tensor]] = {
    "mean": torch.mean,
    "sum": torch.sum,
    "greatest": torch.amax,
    "least": torch.amin,
}


def compute(node: Node, inputs: Inputs, parameters: Parameters, training: bool) -> Tensor:
    """The result of one operation for a batch of rows. `parameters` are by the graph's names."""
    if isinstance(node, pointwise.Dropout):
        return functional.dropout(inputs[0], node.probability, training)
    return _COMPUTE[type(node)](node, inputs, parameters)


def _bias(node: layers.Layer, parameters: Parameters) -> Tensor | None:
    return None if node.bias is None else parameters[node.bias]


def _weight(node: layers.Layer, parameters: Parameters) -> Tensor | None:
    return None if node.weight is None else parameters[node.weight]


def _linear(node: layers.Linear, inputs: Inputs, parameters: Parameters) -> Tensor:
    return functional.linear(inputs[0], parameters[node.weight], _bias(node, parameters))


def _convolution(node: layers.Convolution, inputs: Inputs, parameters: Parameters) -> Tensor:
    convolve: Callable[..., Tensor] = functional.conv1d if len(node.stride) == 1 else functional.conv2d
    weight, bias = parameters[node.weight], _bias(node, parameters)
    return convolve(inputs[0], weight, bias, node.stride, node.padding, node.dilation, node.groups)


def _embedding(node: layers.Embedding, inputs: Inputs, parameters: Parameters) -> Tensor:
    weight = parameters[node.weight]
    return functional.embedding(rows_of(inputs[0], weight), weight, node.padding_index)


def rows_of(integers: Tensor, weight: Tensor) -> Tensor:
    """The rows of an embedding that these integers stand for."""
    return integers.clamp(0, weight.shape[0] - 1)


def _layer_norm(node: layers.LayerNorm, inputs: Inputs, parameters: Parameters) -> Tensor:
    weight, bias = _weight(node, parameters), _bias(node, parameters)
    return functional.layer_norm(inputs[0], list(node.shape), weight, bias, node.epsilon)


def _group_norm(node: layers.GroupNorm, inputs: Inputs, parameters: Parameters) -> Tensor:
    return functional.group_norm(
        inputs[0], node.groups, _weight(node, parameters), _bias(node, parameters), node.epsilon
    )


def _prelu(node: layers.PReLU, inputs: Inputs, parameters: Parameters) -> Tensor:
    return functional.prelu(inputs[0], parameters[node.weight])


def _softmax(node: pointwise.Softmax, inputs: Inputs, _: Parameters) -> Tensor:
    return (torch.softmax if node.op == "softmax" else torch.log_softmax)(inputs[0], node.axis + 1)


def _convert(node: pointwise.Convert, inputs: Inputs, parameters: Parameters) -> Tensor:
    if node.kind == "float32":
        return inputs[0].to(next(iter(parameters.values())).dtype)  # float32, or wider where the hospital computes so
    # infinity and NaN are no integers: what they become must not depend on the machine
    return inputs[0].nan_to_num(0.0, 0.0, 0.0).to(torch.int64) if inputs[0].is_floating_point() else inputs[0]


def _reshape(node: shaping.Reshape, inputs: Inputs, _: Parameters) -> Tensor:
    return inputs[0].reshape(inputs[0].shape[0], *node.shape)


def _permute(node: shaping.Permute, inputs: Inputs, _: Parameters) -> Tensor:
    return inputs[0].permute(0, *(axis + 1 for axis in node.axes))


def _reduce(node: shaping.Reduce, inputs: Inputs, _: Parameters) -> Tensor:
    return REDUCTIONS[node.op](inputs[0], dim=[axis + 1 for axis in node.axes], keepdim=True)


def _pool(node: shaping.Pool, inputs: Inputs, _: Parameters) -> Tensor:
    pools: tuple[Callable[..., Tensor], ...] = (functional.avg_pool1d, functional.avg_pool2d)
    if node.op == "max_pool":
        pools = (functional.max_pool1d, functional.max_pool2d)
    return pools[len(node.kernel) - 1](inputs[0], node.kernel, node.stride, node.padding)


def _adaptive_pool(node: shaping.AdaptivePool, inputs: Inputs, _: Parameters) -> Tensor:
    pools: tuple[Callable[..., Tensor], ...] = (functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d)
    if node.op == "adaptive_max_pool":
        pools = (functional.adaptive_max_pool1d, functional.adaptive_max_pool2d)
    return pools[len(node.shape) - 1](inputs[0], node.shape)


_COMPUTE: dict[type[Node], Callable[[Any, Inputs, Parameters], Tensor]] = {
    layers.Linear: _linear,
    layers.Convolution: _convolution,
    layers.Embedding: _embedding,
    layers.LayerNorm: _layer_norm,
    layers.GroupNorm: _group_norm,
    layers.PReLU: _prelu,
    pointwise.Activation: lambda node, inputs, _: ACTIVATIONS[node.op](inputs[0]),
    pointwise.LeakyReLU: lambda node, inputs, _: functional.leaky_relu(inputs[0], node.slope),
    pointwise.ELU: lambda node, inputs, _: functional.elu(inputs[0], node.alpha),
    pointwise.Softplus: lambda node, inputs, _: functional.softplus(inputs[0], node.beta, node.threshold),
    pointwise.Clamp: lambda node, inputs, _: inputs[0].clamp(node.low, node.high),
    pointwise.Softmax: _softmax,
    pointwise.Affine: lambda node, inputs, _: inputs[0] * node.scale + node.shift,
    pointwise.Combine: lambda node, inputs, _: COMBINATIONS[node.op](*inputs),
    pointwise.Convert: _convert,
    shaping.Reshape: _reshape,
    shaping.Permute: _permute,
    shaping.Narrow: lambda node, inputs, _: inputs[0].narrow(node.axis + 1, node.start, node.length),
    shaping.Concatenate: lambda node, inputs, _: torch.cat(inputs, node.axis + 1),
    shaping.Reduce: _reduce,
    shaping.Pool: _pool,
    shaping.AdaptivePool: _adaptive_pool,
}
