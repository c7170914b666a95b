"""Named arrays as bytes: safetensors with one JSON header. Never pickle.

Used for round messages between researcher and hospital, and between the agent and its worker.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as _load

from policies.errors import InvalidInput

Arrays = dict[str, NDArray[Any]]

# by safetensors' names, in the order in which its library writes arrays
_DTYPES = {
    "int64": "I64",
    "float64": "F64",
    "float32": "F32",
    "int32": "I32",
    "float16": "F16",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
ALLOWED_DTYPES = frozenset(_DTYPES)
_HEADER = "wardround"
_NO_BLOB = "The message is not a safetensors blob with a Wardround header."
LONGEST_NAME = 200
# A header is text that is parsed into Python objects, ten times its size: 4 MiB holds some 30,000 arrays' names.
_MAX_HEADER = 4 * 1024 * 1024


def check_arrays(arrays: Mapping[str, Any], what: str) -> Arrays:
    """Returns `arrays` as contiguous NumPy arrays.

    Raises InvalidInput, naming the offending array, for anything that is not a named array of an allowed dtype.
    """
    checked: Arrays = {}
    for name, value in arrays.items():
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
            raise InvalidInput(f"{what}: array names must be printable text of 1 to {LONGEST_NAME} characters.")
        if not isinstance(value, np.ndarray | np.generic):
            raise InvalidInput(f"{what}: {name!r} is a {type(value).__name__}.", "Return NumPy arrays.")
        array = np.asarray(value)
        if array.dtype.name not in ALLOWED_DTYPES:
            raise InvalidInput(
                f"{what}: {name!r} has dtype {array.dtype}.", f"Use one of {', '.join(sorted(ALLOWED_DTYPES))}."
            )
        # ascontiguousarray would turn a scalar into a vector, so the shape is put back
        checked[name] = np.ascontiguousarray(array).reshape(array.shape)
    return checked


def pack(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """One blob of `header` (JSON values, no NaN) and `arrays`; the same input always gives the same bytes."""
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return _saved(check_arrays(arrays, "message"), text)


def _saved(arrays: Arrays, text: str) -> bytes:
    """As `safetensors.numpy.save` writes it, to the byte, which holds a large model twice before it gives it away."""
    order = list(_DTYPES)
    names = sorted(arrays, key=lambda name: (order.index(arrays[name].dtype.name), name))
    content: dict[str, Any] = {"__metadata__": {_HEADER: text}}
    end = 0
    for name in names:
        array, begin = arrays[name], end
        end += array.nbytes
        content[name] = {"dtype": _DTYPES[array.dtype.name], "shape": array.shape, "data_offsets": (begin, end)}
    head = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    return b"".join((len(head).to_bytes(8, "little"), head, *(arrays[name].data for name in names)))


def unpack(blob: bytes, max_bytes: int) -> tuple[dict[str, Any], Arrays]:
    """The header and arrays of a blob made by `pack`.

    Raises InvalidInput when it is larger than `max_bytes`, or is not such a blob.
    """
    if len(blob) > max_bytes:
        raise InvalidInput(f"The message has {len(blob):,} bytes; at most {max_bytes:,} are allowed.")
    header = unpack_header(blob)
    try:
        arrays: Arrays = _load(blob)
    except (SafetensorError, ValueError, KeyError, TypeError):
        raise InvalidInput(_NO_BLOB) from None
    return header, check_arrays(arrays, "message")


def unpack_header(blob: bytes) -> dict[str, Any]:
    """The header alone, without a look at the arrays. Raises InvalidInput where there is none, or one far too large."""
    size = int.from_bytes(blob[:8], "little")
    if size > _MAX_HEADER:
        raise InvalidInput("The message's header is too large.")
    try:
        header = json.loads(json.loads(blob[8 : 8 + size])["__metadata__"][_HEADER])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InvalidInput(_NO_BLOB) from None
    if not isinstance(header, dict):
        raise InvalidInput(_NO_BLOB)
    return header


def nbytes(arrays: Mapping[str, NDArray[Any]]) -> int:
    """Payload bytes of all arrays, without headers."""
    return sum(int(a.nbytes) for a in arrays.values())


def all_finite(array: NDArray[Any]) -> bool:
    """True when the array holds neither NaN nor infinity (always true for integers and booleans)."""
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())
