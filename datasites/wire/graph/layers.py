"""Operations with parameters. Their widths are those of the parameters they name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from datasites.wire.graph.base import (
    Epsilon,
    Node,
    Offset,
    Offsets,
    ParameterName,
    Shape,
    Size,
    Sizes,
    Value,
    bounded,
    one,
    window,
)

Parameters = Mapping[str, tuple[int, ...]]


def _expect(parameters: Parameters, name: str | None, shape: tuple[int, ...]) -> None:
    if name is not None and parameters[name] != shape:
        raise ValueError(f"parameter {name} has the shape {parameters[name]}, not {shape}")


class Layer(Node):
    """An operation with a weight and perhaps a bias."""

    weight: ParameterName | None
    bias: ParameterName | None = None

    def uses(self) -> tuple[str, ...]:
        return tuple(name for name in (self.weight, self.bias) if name is not None)


class Linear(Layer):
    """y = x W^T + b over the last axis; W is (out, in)."""

    op: Literal["linear"] = "linear"
    weight: ParameterName

    def infer(self, values: list[Value], parameters: Parameters) -> Value:
        shape, weight = one(values), parameters[self.weight]
        if len(weight) != 2 or not shape or shape[-1] != weight[1]:
            raise ValueError(f"a weight {weight} does not fit an input {shape}")
        _expect(parameters, self.bias, weight[:1])
        return bounded((*shape[:-1], weight[0]))


class Convolution(Layer):
    """Cross-correlation over one or two axes, padded with zeros; the weight is (out, in / groups, *kernel)."""

    op: Literal["convolution"] = "convolution"
    weight: ParameterName
    stride: Sizes
    padding: Offsets
    dilation: Sizes
    groups: Size = 1

    def infer(self, values: list[Value], parameters: Parameters) -> Value:
        shape, weight = one(values), parameters[self.weight]
        axes = len(weight) - 2
        if axes not in (1, 2) or len(shape) != axes + 1 or shape[0] != weight[1] * self.groups:
            raise ValueError(f"a weight {weight} in {self.groups} groups does not fit an input {shape}")
        if weight[0] % self.groups or not axes == len(self.stride) == len(self.padding) == len(self.dilation):
            raise ValueError("stride, padding, dilation or groups do not fit the weight")
        _expect(parameters, self.bias, weight[:1])
        places = zip(shape[1:], weight[2:], self.stride, self.padding, self.dilation, strict=True)
        return bounded((weight[0], *(window(*place) for place in places)))


class Embedding(Layer):
    """A row of the weight (rows, width) for each integer. An integer outside its rows counts as the nearest one:
    what a record holds must not stop the training."""

    op: Literal["embedding"] = "embedding"
    weight: ParameterName
    bias: None = None
    padding_index: Offset | None = None  # its row is not trained

    def infer(self, values: list[Value], parameters: Parameters) -> Value:
        shape, weight = one(values, "int64"), parameters[self.weight]
        if len(weight) != 2 or (self.padding_index is not None and self.padding_index >= weight[0]):
            raise ValueError(f"{weight} is not the shape of an embedding with padding index {self.padding_index}")
        return bounded((*shape, weight[1]))


class LayerNorm(Layer):
    """Zero mean and unit variance over the last axes, those of `shape`."""

    op: Literal["layer_norm"] = "layer_norm"
    shape: Shape
    epsilon: Epsilon

    def infer(self, values: list[Value], parameters: Parameters) -> Value:
        shape = one(values)
        if not self.shape or shape[-len(self.shape) :] != self.shape:
            raise ValueError(f"an input {shape} does not end in {self.shape}")
        for name in self.uses():
            _expect(parameters, name, self.shape)
        return Value(shape)


class GroupNorm(Layer):
    """Zero mean and unit variance over each of `groups` groups of channels, the first axis."""

    op: Literal["group_norm"] = "group_norm"
    groups: Size
    epsilon: Epsilon

    def infer(self, values: list[Value], parameters: Parameters) -> Value:
        shape = one(values)
        if not shape or shape[0] % self.groups:
            raise ValueError(f"an input {shape} cannot be normalised in {self.groups} groups")
        for name in self.uses():
            _expect(parameters, name, shape[:1])
        return Value(shape)


class PReLU(Layer):
    """max(x, 0) + w min(x, 0), with one w for all or one a channel (first axis)."""

    op: Literal["prelu"] = "prelu"
    weight: ParameterName
    bias: None = None

    def infer(self, values: list[Value], parameters: Parameters) -> Value:
        shape, weight = one(values), parameters[self.weight]
        if weight != (1,) and (not shape or weight != shape[:1]):
            raise ValueError(f"a weight {weight} does not fit an input {shape}")
        return Value(shape)
