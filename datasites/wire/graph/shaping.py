"""Operations that arrange, select or summarise the elements of one row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from datasites.wire.graph.base import Axes, Axis, Node, Offset, Offsets, Shape, Size, Sizes, Value, bounded, one, window

Parameters = Mapping[str, tuple[int, ...]]


def _single(values: list[Value]) -> Value:
    if len(values) != 1:
        raise ValueError(f"takes one input, not {len(values)}")
    return values[0]


class Reshape(Node):
    op: Literal["reshape"] = "reshape"
    shape: Shape

    def infer(self, values: list[Value], parameters: Parameters) -> Value:
        value = _single(values)
        if math.prod(value.shape) != math.prod(self.shape):
            raise ValueError(f"{value.shape} cannot be arranged as {self.shape}")
        return Value(self.shape, value.kind)


class Permute(Node):
    """Axis `axes[i]` becomes axis i."""

    op: Literal["permute"] = "permute"
    axes: Axes

    def infer(self, values: list[Value], parameters: Parameters) -> Value:
        value = _single(values)
        if sorted(self.axes) != list(range(len(value.shape))):
            raise ValueError(f"{self.axes} is not an order of the axes of {value.shape}")
        return Value(tuple(value.shape[axis] for axis in self.axes), value.kind)


class Narrow(Node):
    """The `length` places from `start` along an axis."""

    op: Literal["narrow"] = "narrow"
    axis: Axis
    start: Offset
    length: Size

    def infer(self, values: list[Value], parameters: Parameters) -> Value:
        value = _single(values)
        if self.axis >= len(value.shape) or self.start + self.length > value.shape[self.axis]:
            raise ValueError(f"places {self.start} to {self.start + self.length} are not all in {value.shape}")
        return Value((*value.shape[: self.axis], self.length, *value.shape[self.axis + 1 :]), value.kind)


class Concatenate(Node):
    op: Literal["concatenate"] = "concatenate"
    axis: Axis

    def infer(self, values: list[Value], parameters: Parameters) -> Value:
        first = values[0]
        if self.axis >= len(first.shape):
            raise ValueError(f"an input {first.shape} has no axis {self.axis}")
        around = {(v.kind, len(v.shape), v.shape[: self.axis], v.shape[self.axis + 1 :]) for v in values}
        if len(around) != 1:
            raise ValueError(f"{', '.join(str(value.shape) for value in values)} do not fit each other")
        length = sum(value.shape[self.axis] for value in values)
        return bounded((*first.shape[: self.axis], length, *first.shape[self.axis + 1 :]), first.kind)


class Reduce(Node):
    """Over axes of the row, which stay with length one."""

    op: Literal["mean", "sum", "greatest", "least"]
    axes: Axes

    def infer(self, values: list[Value], parameters: Parameters) -> Value:
        shape = one(values)
        if len(set(self.axes)) != len(self.axes) or max(self.axes) >= len(shape):
            raise ValueError(f"an input {shape} has no axes {self.axes}")
        return Value(tuple(1 if axis in self.axes else size for axis, size in enumerate(shape)))


class Pool(Node):
    """Mean (padding counts as zeros) or greatest element of windows over the last one or two axes, after channels."""

    op: Literal["average_pool", "max_pool"]
    kernel: Sizes
    stride: Sizes
    padding: Offsets

    def infer(self, values: list[Value], parameters: Parameters) -> Value:
        shape, axes = one(values), len(self.kernel)
        if len(shape) != axes + 1 or not axes == len(self.stride) == len(self.padding):
            raise ValueError(f"a window {self.kernel} does not fit an input {shape}")
        if any(2 * padding > kernel for padding, kernel in zip(self.padding, self.kernel, strict=True)):
            raise ValueError("the padding is more than half of the window")
        places = zip(shape[1:], self.kernel, self.stride, self.padding, strict=True)
        return bounded((shape[0], *(window(*place) for place in places)))


class AdaptivePool(Node):
    """The same with as many windows as `shape` says."""

    op: Literal["adaptive_average_pool", "adaptive_max_pool"]
    shape: Sizes

    def infer(self, values: list[Value], parameters: Parameters) -> Value:
        shape = one(values)
        if len(shape) != len(self.shape) + 1:
            raise ValueError(f"{self.shape} does not fit an input {shape}")
        return bounded((shape[0], *self.shape))
