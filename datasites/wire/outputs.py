"""What may leave a hospital in one round, by name, shape and type; and what stays there between rounds."""

from __future__ import annotations

import math
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from datasites.wire.arrays import ALLOWED_DTYPES, LONGEST_NAME
from datasites.wire.codecs import Pipeline
from datasites.wire.codecs.base import Shape
from datasites.wire.marginals import Marginals
from datasites.wire.statistics import STATISTICS, Statistics
from datasites.wire.training import HISTOGRAM, Training
from datasites.wire.values import Frozen
from policies.errors import InvalidInput

RESIDUAL = "compression/"  # before the name of an array: what compression has left out of it so far


class ArraySpec(Frozen):
    """An array that may leave: shape and dtype are exact. Scalars have the shape ()."""

    shape: tuple[Annotated[int, Field(ge=0, le=2**40)], ...] = Field(strict=False, max_length=32)
    dtype: str

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.dtype not in ALLOWED_DTYPES:
            raise ValueError(f"dtype {self.dtype} is not allowed")
        return self

    @property
    def nbytes(self) -> int:
        width = 1 if self.dtype in ("bool", "int8", "uint8") else int(self.dtype[-2:]) // 8
        return width * math.prod(self.shape)


class OutputContract(Frozen):
    """Everything that may leave the hospital in one round, fixed by the rehearsal.

    kept: arrays that training hands to the study's next round at the same hospital. They do not leave.
    compression: how parameters are coded on their way to the researcher (see `codecs.pipeline`); empty: as they are.
    """

    parameters: dict[str, ArraySpec]
    fit_metrics: tuple[str, ...] = Field(strict=False)
    evaluate_metrics: tuple[str, ...] = Field(strict=False)
    evaluate_arrays: dict[str, ArraySpec]
    kept: dict[str, ArraySpec] = Field(default_factory=dict)
    compression: str = ""

    @model_validator(mode="after")
    def _compressible(self) -> Self:
        if self.compression:
            pipeline_of(self.compression)
            if not self.parameters:
                raise ValueError("there is no model to compress")
        if any(len(name) > LONGEST_NAME for name in self.residual):
            raise ValueError("names of arrays are too long for compression with feedback")
        if any(name.startswith(RESIDUAL) for name in self.kept):
            raise ValueError(f"names of kept arrays must not begin with {RESIDUAL}")
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A study that keeps nothing, or compresses nothing, has the canonical form, and so the digest, from before
        there was `kept`, or `compression`."""
        content: dict[str, Any] = handler(self)
        for name in ("kept", "compression"):
            if not content.get(name):
                content.pop(name, None)
        return content

    @property
    def pipeline(self) -> Pipeline | None:
        return Pipeline.parse(self.compression) if self.compression else None

    @property
    def shapes(self) -> dict[str, Shape]:
        """Of the parameters, as codecs ask for them."""
        return {name: Shape(spec.shape, np.dtype(spec.dtype)) for name, spec in self.parameters.items()}

    @property
    def parameter_bytes(self) -> int:
        """The most that the parameters are on the wire."""
        if pipeline := self.pipeline:
            return pipeline.most_bytes(self.shapes)
        return sum(spec.nbytes for spec in self.parameters.values())

    @property
    def residual(self) -> dict[str, ArraySpec]:
        """What error feedback keeps at the hospital: of each array what compression has left out so far."""
        if (pipeline := self.pipeline) is None or not pipeline.feedback:
            return {}
        told = {name: spec for name, spec in self.parameters.items() if pipeline.changes(name)}
        floats = {name: spec.shape for name, spec in told.items() if spec.dtype.startswith("float")}
        return {RESIDUAL + name: ArraySpec(shape=shape, dtype="float32") for name, shape in floats.items()}

    @property
    def max_bytes(self) -> int:
        """Worst-case payload of one round: arrays, and eight bytes for each number."""
        arrays = sum(spec.nbytes for spec in self.evaluate_arrays.values())
        return self.parameter_bytes + arrays + 8 * (len(self.fit_metrics) + len(self.evaluate_metrics) + 2)

    @property
    def numbers(self) -> int:
        """How many a secure sum has (see `secagg.numbers`)."""
        arrays = (*self.parameters.values(), *self.evaluate_arrays.values())
        return 2 + sum(math.prod(spec.shape) for spec in arrays) + 2 * len(self.fit_metrics + self.evaluate_metrics)

    @property
    def kept_bytes(self) -> int:
        """Payload of what the code leaves at the hospital for its next round."""
        return sum(spec.nbytes for spec in self.kept.values())

    @property
    def stays(self) -> dict[str, ArraySpec]:
        """All that stays at the hospital from round to round: what the code keeps, and what compression leaves out."""
        return {**self.kept, **self.residual}

    @property
    def stays_bytes(self) -> int:
        return sum(spec.nbytes for spec in self.stays.values())


def private_outputs(asked: Training | Statistics | Marginals, compression: str = "") -> OutputContract:
    """What the hospital's own program gives, and nothing else."""
    if not isinstance(asked, Training):
        row = ArraySpec(shape=(asked.width,), dtype="float64" if isinstance(asked, Statistics) else "int64")
        return OutputContract(parameters={}, fit_metrics=(), evaluate_metrics=(), evaluate_arrays={STATISTICS: row})
    training = asked
    evaluation = training.evaluation
    shapes = training.graph.parameters.items()
    return OutputContract(
        parameters={name: ArraySpec(shape=tuple(shape), dtype="float32") for name, shape in sorted(shapes)},
        fit_metrics=(),
        evaluate_metrics=(),
        evaluate_arrays={HISTOGRAM: ArraySpec(shape=(2, evaluation.bins), dtype="int64")} if evaluation else {},
        compression=compression,
    )


def pipeline_of(text: str) -> Pipeline:
    try:
        return Pipeline.parse(text)
    except InvalidInput as problem:
        raise ValueError(str(problem)) from None  # what pydantic turns into its own error
