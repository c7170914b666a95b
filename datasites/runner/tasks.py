"""What a task frame holds: which function is to be called, and with what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datasites.runner.replies import Task
from datasites.wire.arrays import Arrays, packed, unpack
from datasites.wire.pieces import Pieces

_PARAMETERS, _KEPT = "p/", "k/"  # prefixes that tell the arrays of one frame apart


@dataclass(frozen=True)
class Call:
    """`kept` is what the study's last training at this hospital left for this one; empty before the first."""

    task: Task
    parameters: Arrays
    config: dict[str, Any]
    kept: Arrays


def encode_call(
    task: Task, parameters: Mapping[str, Any], config: Mapping[str, Any], kept: Mapping[str, Any]
) -> Pieces:
    """Raises InvalidInput, TypeError or ValueError for what cannot be sent."""
    arrays = {_PARAMETERS + name: array for name, array in parameters.items()}
    arrays |= {_KEPT + name: array for name, array in kept.items()}
    return packed({"task": task, "config": dict(config)}, arrays)


def decode_call(frame: bytes) -> Call:
    """A frame that `encode_call` made."""
    header, arrays = unpack(frame, len(frame))
    parameters = {name.removeprefix(_PARAMETERS): a for name, a in arrays.items() if name.startswith(_PARAMETERS)}
    kept = {name.removeprefix(_KEPT): a for name, a in arrays.items() if name.startswith(_KEPT)}
    return Call(header["task"], parameters, header["config"], kept)
