"""What a reply frame holds.

A frame of one byte is one of a few fixed sayings, and all of a worker's words that the agent reads. Any other frame is
a result, which the agent hands on unread: `decode_result` is for the process of the release gate, which has nothing
that a frame made to break it could get at, and for rehearsals, on the researcher's own machine.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from datasites.runner.errors import Code, WorkerFailed
from datasites.wire.arrays import Arrays, check_arrays, pack, unpack
from datasites.wire.spool import Buffer
from policies.errors import InvalidInput

Task = Literal["initialize", "fit", "evaluate"]
TASKS: tuple[Task, ...] = get_args(Task)

_PARAMETERS, _METRICS, _KEPT = "p/", "m/", "k/"  # prefixes that tell the arrays of one frame apart
_FAILURES = {0x80: Code.CODE_ERROR, 0x81: Code.OUT_OF_MEMORY, 0x82: Code.BAD_OUTPUT}  # what a worker may say itself
_MAX_NAME = 200


@dataclass(frozen=True)
class Outcome:
    """What one call gave.

    `num_examples` is 0 for initialize, and `parameters` is empty for evaluate. `arrays` are those metrics that
    are arrays. `kept` is what fit hands to the next round at the same hospital.
    """

    parameters: Arrays
    num_examples: int
    metrics: dict[str, float]
    arrays: Arrays = field(default_factory=dict)
    kept: Arrays = field(default_factory=dict)


def encode_ready(tasks: Collection[Task]) -> bytes:
    """The first frame of a worker: which functions the study has."""
    return bytes([sum(1 << TASKS.index(task) for task in tasks)])


def encode_error(code: Code) -> bytes:
    """A failure, as a code alone; BAD_OUTPUT for codes that are not the worker's to say."""
    return bytes([next((byte for byte, known in _FAILURES.items() if known is code), 0x82)])


def encode_result(task: Task, result: Any) -> bytes:
    """The frame for what the study's function returned. Raises InvalidInput when it has not the agreed types."""
    parameters, num_examples, metrics, kept = _split(task, result)
    if not isinstance(num_examples, int | np.integer) or not isinstance(metrics, dict):
        raise InvalidInput(f"{task} must return a whole number of examples, and a dict of metrics.")
    arrays = _prefixed(_METRICS, {name: value for name, value in metrics.items() if isinstance(value, np.ndarray)})
    if task != "evaluate":
        arrays |= _prefixed(_PARAMETERS, parameters) | _prefixed(_KEPT, kept)
    numbers = {name: _number(value) for name, value in metrics.items() if not isinstance(value, np.ndarray)}
    return pack({"num_examples": int(num_examples), "metrics": numbers}, arrays)


def failure(frame: Buffer) -> Code | None:
    """The failure that a frame tells of; None for a result."""
    return _FAILURES.get(frame[0], Code.BAD_OUTPUT) if len(frame) == 1 else None


def decode_ready(frame: bytes) -> frozenset[Task]:
    """The study's functions. Raises WorkerFailed with what the worker said, or InvalidInput."""
    if len(frame) == 1 and frame[0] in _FAILURES:
        raise WorkerFailed(_FAILURES[frame[0]])
    if len(frame) != 1 or not 0 < frame[0] < 1 << len(TASKS):
        raise InvalidInput("The study has none of the functions initialize, fit and evaluate.")
    return frozenset(task for i, task in enumerate(TASKS) if frame[0] >> i & 1)


def decode_result(task: Task, frame: Buffer) -> Outcome:
    """The result of a call, of the agreed types; its numbers may be any. Raises InvalidInput for any surprise."""
    header, arrays = unpack(frame, len(frame))
    num_examples, metrics = header.get("num_examples"), header.get("metrics")
    parameters = _without_prefix(_PARAMETERS, arrays)
    array_metrics, kept = _without_prefix(_METRICS, arrays), _without_prefix(_KEPT, arrays)
    least = 0 if task == "initialize" else 1
    if header.keys() != {"num_examples", "metrics"} or type(num_examples) is not int:
        raise InvalidInput("The reply says other things than a result does.")
    if not least <= num_examples < 2**53:
        raise InvalidInput("The number of examples is not a count.")
    if not isinstance(metrics, dict) or not all(_is_metric(*item) for item in metrics.items()):
        raise InvalidInput("A metric is not a number with a name.")
    if len(parameters) + len(array_metrics) + len(kept) != len(arrays) or bool(parameters) == (task == "evaluate"):
        raise InvalidInput("The arrays are not those of this task.")
    if kept and task != "fit":
        raise InvalidInput("Only training keeps arrays for the next round.")
    return Outcome(parameters, num_examples, metrics, array_metrics, kept)


def _split(task: Task, result: Any) -> tuple[Any, Any, Any, Any]:
    """Parameters, number of examples, metrics, and what is kept."""
    if task == "initialize":
        return result, 0, {}, {}
    sizes = {"fit": (3, 4), "evaluate": (2,)}[task]
    if not isinstance(result, tuple) or len(result) not in sizes:
        raise InvalidInput(f"{task} must return a tuple of {' or '.join(map(str, sizes))}.")
    if task == "evaluate":
        return {}, *result, {}
    return result if len(result) == 4 else (*result, {})


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
    return 0 < len(name) <= _MAX_NAME and name.isprintable() and type(value) is float
