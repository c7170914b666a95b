"""What a reply frame holds. `encode_*` run in the worker; `decode_*` in the agent, which trusts none of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from datasites.runner.errors import Code, WorkerFailed
from datasites.wire.arrays import Arrays, all_finite, check_arrays, pack, unpack
from policies.errors import InvalidInput

Task = Literal["initialize", "fit", "evaluate"]
TASKS: tuple[Task, ...] = get_args(Task)

_PARAMETERS, _METRICS = "p/", "m/"  # prefixes that tell the arrays of one frame apart
_SAID_BY_WORKER = (Code.CODE_ERROR, Code.OUT_OF_MEMORY, Code.BAD_OUTPUT)
_MAX_NAME = 200


@dataclass(frozen=True)
class Outcome:
    """What one call gave. All numbers are finite.

    `num_examples` is 0 for initialize, and `parameters` is empty for evaluate. `arrays` are those metrics that
    are arrays. `seconds` is the whole call, seen from outside.
    """

    parameters: Arrays
    num_examples: int
    metrics: dict[str, float]
    arrays: Arrays = field(default_factory=dict)
    seconds: float = 0.0


def encode_ready(tasks: list[Task]) -> bytes:
    """The first frame of a worker: which functions the study has."""
    return pack({"tasks": tasks}, {})


def encode_error(code: Code) -> bytes:
    """A failure, as a code alone."""
    return pack({"error": code.value}, {})


def encode_result(task: Task, result: Any) -> bytes:
    """The frame for what the study's function returned. Raises InvalidInput when it has not the agreed types."""
    parameters, num_examples, metrics = _split(task, result)
    if not isinstance(num_examples, int | np.integer) or not isinstance(metrics, dict):
        raise InvalidInput(f"{task} must return a whole number of examples, and a dict of metrics.")
    arrays = _prefixed(_METRICS, {name: value for name, value in metrics.items() if isinstance(value, np.ndarray)})
    if task != "evaluate":
        arrays |= _prefixed(_PARAMETERS, parameters)
    numbers = {name: _number(value) for name, value in metrics.items() if not isinstance(value, np.ndarray)}
    return pack({"num_examples": int(num_examples), "metrics": numbers}, arrays)


def decode_ready(blob: bytes) -> frozenset[Task]:
    """The study's functions. Raises WorkerFailed with what the worker said, or InvalidInput."""
    header, _ = _unpack(blob)
    said = header.get("tasks")
    tasks = frozenset(task for task in TASKS if isinstance(said, list) and task in said)
    if not tasks:
        raise InvalidInput("The study has none of the functions initialize, fit and evaluate.")
    return tasks


def decode_result(task: Task, blob: bytes, seconds: float) -> Outcome:
    """The result of a call. Raises WorkerFailed with what the worker said, or InvalidInput for any surprise."""
    header, arrays = _unpack(blob)
    num_examples, metrics = header.get("num_examples"), header.get("metrics")
    parameters = _without_prefix(_PARAMETERS, arrays)
    array_metrics = _without_prefix(_METRICS, arrays)
    least = 0 if task == "initialize" else 1
    if type(num_examples) is not int or not least <= num_examples < 2**53:
        raise InvalidInput("The number of examples is not a count.")
    if not isinstance(metrics, dict) or not all(_is_metric(*item) for item in metrics.items()):
        raise InvalidInput("A metric is not a finite number.")
    if len(parameters) + len(array_metrics) != len(arrays) or bool(parameters) == (task == "evaluate"):
        raise InvalidInput("The arrays are not those of this task.")
    if not all(all_finite(array) for array in arrays.values()):
        raise InvalidInput("An array holds NaN or infinity.")
    return Outcome(parameters, num_examples, metrics, array_metrics, seconds)


def _split(task: Task, result: Any) -> tuple[Any, Any, Any]:
    """Parameters, number of examples, metrics."""
    if task == "initialize":
        return result, 0, {}
    size = 3 if task == "fit" else 2
    if not isinstance(result, tuple) or len(result) != size:
        raise InvalidInput(f"{task} must return a tuple of {size}.")
    return result if task == "fit" else ({}, *result)


def _number(value: Any) -> float:
    if not isinstance(value, int | float | np.number | np.bool) or not math.isfinite(value):
        raise InvalidInput("Metrics must be finite numbers or NumPy arrays.")
    return float(value)


def _prefixed(prefix: str, arrays: Any) -> Arrays:
    if not isinstance(arrays, Mapping):
        raise InvalidInput("Parameters must be a dict of NumPy arrays.")
    return {prefix + name: array for name, array in check_arrays(arrays, "result").items()}


def _without_prefix(prefix: str, arrays: Arrays) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _is_metric(name: str, value: Any) -> bool:
    return 0 < len(name) <= _MAX_NAME and name.isprintable() and type(value) is float and math.isfinite(value)


def _unpack(blob: bytes) -> tuple[dict[str, Any], Arrays]:
    header, arrays = unpack(blob, len(blob))
    if "error" in header:
        raise WorkerFailed(next((c for c in _SAID_BY_WORKER if c == header["error"]), Code.BAD_OUTPUT))
    return header, arrays
