"""A model as data: operations from a closed list, in the order in which they are computed.

It is what a hospital gets instead of a researcher's code. Everything is checked when it is read: every shape, every
reference and every size, so that a graph that was accepted can be built and run, and cannot mix records.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from datasites.wire.canonical import canonical_json, sha256
from datasites.wire.graph import layers, pointwise, shaping
from datasites.wire.graph.base import (
    MOST_ELEMENTS,
    MOST_NODES,
    MOST_PARAMETERS,
    MOST_WEIGHTS,
    Kind,
    ParameterName,
    Reference,
    Shape,
    Value,
)
from datasites.wire.values import Frozen

Operation = Annotated[
    layers.Linear
    | layers.Convolution
    | layers.Embedding
    | layers.LayerNorm
    | layers.GroupNorm
    | layers.PReLU
    | pointwise.Activation
    | pointwise.LeakyReLU
    | pointwise.ELU
    | pointwise.Softplus
    | pointwise.Clamp
    | pointwise.Softmax
    | pointwise.Dropout
    | pointwise.Affine
    | pointwise.Combine
    | pointwise.Convert
    | shaping.Reshape
    | shaping.Permute
    | shaping.Narrow
    | shaping.Concatenate
    | shaping.Reduce
    | shaping.Pool
    | shaping.AdaptivePool,
    Field(discriminator="op"),
]


class Input(Frozen):
    """What one row of the table carries into the model."""

    shape: Shape
    kind: Kind = "float32"


class Graph(Frozen):
    """See the module. Raises ValueError (pydantic) where anything of it does not fit.

    `parameters` gives every parameter's shape; their values (float32) travel as arrays of the same names. `output`
    refers to a value as nodes do: 0 is the input, n the result of the n-th node.
    """

    version: Literal[1] = 1
    input: Input
    nodes: tuple[Operation, ...] = Field(strict=False, min_length=1, max_length=MOST_NODES)
    parameters: dict[ParameterName, Shape] = Field(min_length=1, max_length=MOST_PARAMETERS)
    output: Reference

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if sum(math.prod(shape) for shape in self.parameters.values()) > MOST_WEIGHTS:
            raise ValueError(f"the parameters have more than {MOST_WEIGHTS:,} elements")
        _check_names(set(self.parameters))
        used = {name for node in self.nodes for name in node.uses()}
        if used != self.parameters.keys():
            raise ValueError(f"parameters unknown or never used: {sorted(used ^ self.parameters.keys())}")
        values = self.values()
        if self.output >= len(values):
            raise ValueError("the output refers to no value")
        if values[self.output].kind != "float32":
            raise ValueError("the output must be float32")
        return self

    def values(self) -> list[Value]:
        """What every value carries: the input, then the result of each node. Raises ValueError."""
        values = [Value(self.input.shape, self.input.kind)]
        if math.prod(self.input.shape) > MOST_ELEMENTS:
            raise ValueError("the input is too large")
        for place, node in enumerate(self.nodes, start=1):
            if any(reference >= place for reference in node.inputs):
                raise ValueError(f"node {place} ({node.op}) uses what is computed later")
            try:
                values.append(node.infer([values[reference] for reference in node.inputs], self.parameters))
            except ValueError as problem:
                raise ValueError(f"node {place} ({node.op}): {problem}") from None
        return values

    @property
    def output_shape(self) -> tuple[int, ...]:
        """What the model gives for one row."""
        return self.values()[self.output].shape

    def canonical(self) -> bytes:
        return canonical_json(self.model_dump(mode="json"))

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the canonical form."""
        return sha256(self.canonical())


def _check_names(names: set[str]) -> None:
    """No name may also be a folder of others: a module cannot hold a parameter and a part of the same name."""
    for name in names:
        parts = name.split(".")
        if any(".".join(parts[:length]) in names for length in range(1, len(parts))):
            raise ValueError(f"the parameter {name} lies inside another")
