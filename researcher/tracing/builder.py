"""A graph in the making: values of one row, and the operations between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from datasites.wire.graph import Input, Node, Value
from datasites.wire.graph.pointwise import Affine, Combine
from datasites.wire.graph.shaping import Reshape


class Unsupported(Exception):
    """What was met cannot be carried as data; the text says why, and what to use instead."""


class Ref(NamedTuple):
    """A value of the graph, by its number."""

    number: int


class Parameter(NamedTuple):
    """A parameter, by its name."""

    name: str


class Rows:
    """How many rows a batch has: known to nobody while tracing, and of no use but as the first axis of a shape."""

    def __repr__(self) -> str:
        return "the number of rows"


ROWS: Final = Rows()


@dataclass
class Builder:
    """`training` says in which mode the module is traced; `parameters` are the module's shapes."""

    input: Input
    parameters: dict[str, tuple[int, ...]]
    training: bool
    nodes: list[Any] = field(default_factory=list)
    values: list[Value] = field(init=False)

    def __post_init__(self) -> None:
        self.values = [Value(self.input.shape, self.input.kind)]

    def shape(self, ref: Ref) -> tuple[int, ...]:
        return self.values[ref.number].shape

    def add(self, operation: type[Node], *inputs: Any, **attributes: Any) -> Ref:
        """One more operation, or Unsupported where it is not defined for these inputs or attributes."""
        if not all(isinstance(ref, Ref) for ref in inputs):
            raise Unsupported("It is used on something other than the model's input and what was computed from it.")
        try:
            node = operation(inputs=tuple(ref.number for ref in inputs), **attributes)
            self.values.append(node.infer([self.values[number] for number in node.inputs], self.parameters))
        except ValueError as problem:
            raise Unsupported(_first_line(problem)) from None
        self.nodes.append(node)
        return Ref(len(self.nodes))

    def reshape(self, ref: Ref, shape: Sequence[int]) -> Ref:
        return ref if self.shape(ref) == tuple(shape) else self.add(Reshape, ref, shape=tuple(shape))

    def axis(self, ref: Ref, dim: int, extra: int = 0) -> int:
        """The axis of one row that PyTorch's `dim` of a batch means; `extra` new axes are counted too."""
        if not isinstance(dim, int) or isinstance(dim, bool):
            raise Unsupported(f"The axis {dim!r} must be one whole number.")
        axes = len(self.shape(ref)) + extra + 1
        place = dim + axes if dim < 0 else dim
        if place == 0:
            raise Unsupported(f"The axis {dim} is that of the records, which must stay apart. Use an axis from 1.")
        if not 0 < place < axes:
            raise Unsupported(f"There is no axis {dim} in {axes} axes.")
        return place - 1

    def axes(self, ref: Ref, dims: Any) -> tuple[int, ...]:
        return tuple(self.axis(ref, dim) for dim in (dims if isinstance(dims, tuple | list) else (dims,)))

    def combine(self, op: str, left: Any, right: Any) -> Ref:
        """Two values, or a value and a number."""
        if isinstance(left, Ref) and isinstance(right, Ref):
            return self.add(Combine, left, right, op=op)
        ref, number = (left, right) if isinstance(left, Ref) else (right, left)
        if not isinstance(ref, Ref) or isinstance(number, bool) or not isinstance(number, int | float):
            raise Unsupported("Only values of the same record and plain numbers can be combined.")
        affine = _AFFINE.get((op, ref is left))
        if affine is None or (op == "divide" and number == 0):
            raise Unsupported(f"{op} of a number and a value is not supported.")
        scale, shift = affine(float(number))
        return self.add(Affine, ref, scale=scale, shift=shift)


_AFFINE: dict[tuple[str, bool], Any] = {
    ("add", True): lambda number: (1.0, number),
    ("add", False): lambda number: (1.0, number),
    ("subtract", True): lambda number: (1.0, -number),
    ("subtract", False): lambda number: (-1.0, number),
    ("multiply", True): lambda number: (number, 0.0),
    ("multiply", False): lambda number: (number, 0.0),
    ("divide", True): lambda number: (1.0 / number, 0.0),
}


def _first_line(problem: ValueError) -> str:
    """One sentence of pydantic's several lines, or the text as it stands."""
    errors = getattr(problem, "errors", None)
    if errors is None:
        return f"It {problem}." if str(problem).startswith("takes") else f"Here {problem}."
    first = errors()[0]
    return f"Its {'.'.join(str(part) for part in first['loc'])} is not supported: {first['msg'].lower()}."
