"""What every operation of a graph is made of.

A value is what one *row* (one record) carries: its shape never names the batch, and no attribute of any operation can.
That is how a graph cannot mix rows, whatever its author intends: there is no way to write it down.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from datasites.wire.values import Frozen

MOST_AXES = 6
MOST_ELEMENTS = 4 * 1024 * 1024  # of one value of one row
MOST_NODES = 2000
MOST_PARAMETERS = 2000
MOST_WEIGHTS = 64 * 1024 * 1024  # elements of all parameters together

Kind = Literal["float32", "int64"]
Axis = Annotated[int, Field(ge=0, lt=MOST_AXES)]
Size = Annotated[int, Field(ge=1, le=MOST_ELEMENTS)]
Offset = Annotated[int, Field(ge=0, le=MOST_ELEMENTS)]
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]
Epsilon = Annotated[float, Field(gt=0, le=1)]
Reference = Annotated[int, Field(ge=0, le=MOST_NODES)]
ParameterName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$", max_length=200)]
Shape = Annotated[tuple[Size, ...], Field(strict=False, max_length=MOST_AXES)]
Sizes = Annotated[tuple[Size, ...], Field(strict=False, min_length=1, max_length=2)]
Offsets = Annotated[tuple[Offset, ...], Field(strict=False, min_length=1, max_length=2)]
Axes = Annotated[tuple[Axis, ...], Field(strict=False, min_length=1, max_length=MOST_AXES)]


class Value(NamedTuple):
    """What one row carries after an operation."""

    shape: tuple[int, ...]
    kind: Kind = "float32"


class Node(Frozen):
    """One operation. `inputs` refer to values: 0 is the graph's input, n the result of the n-th node."""

    inputs: tuple[Reference, ...] = Field(strict=False, min_length=1, max_length=64)

    def infer(self, values: list[Value], parameters: Mapping[str, tuple[int, ...]]) -> Value:
        """What comes out for these inputs. Raises ValueError where the operation is not defined for them."""
        raise NotImplementedError

    def uses(self) -> tuple[str, ...]:
        """The parameters that it reads."""
        return ()


def one(values: list[Value], kind: Kind = "float32") -> tuple[int, ...]:
    """The shape of an operation's only input."""
    if len(values) != 1:
        raise ValueError(f"takes one input, not {len(values)}")
    if values[0].kind != kind:
        raise ValueError(f"takes {kind}, not {values[0].kind}")
    return values[0].shape


def bounded(shape: tuple[int, ...], kind: Kind = "float32") -> Value:
    if len(shape) > MOST_AXES or math.prod(shape) > MOST_ELEMENTS or any(size < 1 for size in shape):
        raise ValueError(f"the result {shape} is empty or too large")
    return Value(shape, kind)


def window(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """How many places a window of `kernel` takes along an axis of `size`."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
