"""Operations on each element, and between the elements of values of one row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from datasites.wire.graph.base import Axis, Kind, Node, Number, Value, bounded, one

Parameters = Mapping[str, tuple[int, ...]]


class Elementwise(Node):
    """Keeps the shape of its only input."""

    def infer(self, values: list[Value], parameters: Parameters) -> Value:
        return Value(one(values))


class Activation(Elementwise):
    op: Literal[
        "relu", "relu6", "selu", "gelu", "gelu_tanh", "silu", "mish", "tanh", "sigmoid", "hardswish", "hardsigmoid",
        "softsign", "log_sigmoid",
    ]  # fmt: skip


class LeakyReLU(Elementwise):
    op: Literal["leaky_relu"] = "leaky_relu"
    slope: Number


class ELU(Elementwise):
    op: Literal["elu"] = "elu"
    alpha: Number


class Softplus(Elementwise):
    op: Literal["softplus"] = "softplus"
    beta: Annotated[float, Field(gt=0, le=1e3)]
    threshold: Number


class Clamp(Elementwise):
    op: Literal["clamp"] = "clamp"
    low: Number
    high: Number


class Softmax(Elementwise):
    """Over one axis of the row."""

    op: Literal["softmax", "log_softmax"]
    axis: Axis

    def infer(self, values: list[Value], parameters: Parameters) -> Value:
        shape = one(values)
        if self.axis >= len(shape):
            raise ValueError(f"an input {shape} has no axis {self.axis}")
        return Value(shape)


class Dropout(Elementwise):
    """Each element on its own, while training."""

    op: Literal["dropout"] = "dropout"
    probability: Annotated[float, Field(ge=0, lt=1)]


class Affine(Elementwise):
    """x * scale + shift, with two numbers."""

    op: Literal["affine"] = "affine"
    scale: Number = 1.0
    shift: Number = 0.0


class Combine(Node):
    """Two values of one row, element by element. Both have the same number of axes, so that neither can be laid
    over the other's rows; an axis of length one is repeated."""

    op: Literal["add", "subtract", "multiply", "divide", "maximum", "minimum"]

    def infer(self, values: list[Value], parameters: Parameters) -> Value:
        if len(values) != 2 or any(value.kind != "float32" for value in values):
            raise ValueError("takes two inputs of float32")
        left, right = values[0].shape, values[1].shape
        if len(left) != len(right) or any(a != b and 1 not in (a, b) for a, b in zip(left, right, strict=True)):
            raise ValueError(f"{left} and {right} do not fit each other")
        return bounded(tuple(max(a, b) for a, b in zip(left, right, strict=True)))


class Convert(Node):
    """To integers, cutting off what follows the point, or to floating point."""

    op: Literal["convert"] = "convert"
    kind: Kind

    def infer(self, values: list[Value], parameters: Parameters) -> Value:
        if len(values) != 1:
            raise ValueError("takes one input")
        return Value(values[0].shape, self.kind)
