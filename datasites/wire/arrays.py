"""Named arrays as bytes: safetensors with one JSON header. Never pickle.

Used for round messages between researcher and hospital, and between the agent and its worker.

Large arrays are neither joined when they are written nor copied when they are read: see `Pieces` and `Buffer`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as _load

from datasites.wire.pieces import Pieces
from datasites.wire.spool import Buffer
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
_BY_NAME = {name: np.dtype(dtype) for dtype, name in _DTYPES.items()}
_HEADER = "wardround"
_NO_BLOB = "The message is not a safetensors blob with a Wardround header."
LONGEST_NAME = 200
# A header is text that is parsed into Python objects, ten times its size: 4 MiB holds some 30,000 arrays' names.
_MAX_HEADER = 4 * 1024 * 1024
_STEP = 1 << 16  # numbers that are worked on at once: few enough for a processor's cache


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
    return packed(header, arrays).join()


def packed(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Pieces:
    """The same, not joined: the arrays lie where they were, and must not be changed."""
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return _saved(check_arrays(arrays, "message"), text)


def _saved(arrays: Arrays, text: str) -> Pieces:
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
    bodies = (arrays[name].reshape(-1).view(np.uint8).data for name in names)
    return Pieces((len(head).to_bytes(8, "little") + head, *bodies))


def unpack(blob: Buffer, max_bytes: int) -> tuple[dict[str, Any], Arrays]:
    """The header and arrays of a blob made by `pack`. Those of bytes are copies; those of a view lie in it, and can be
    written to where it can be.

    Raises InvalidInput when it is larger than `max_bytes`, or is not such a blob.
    """
    if len(blob) > max_bytes:
        raise InvalidInput(f"The message has {len(blob):,} bytes; at most {max_bytes:,} are allowed.")
    header = unpack_header(blob)
    try:
        arrays: Arrays = _load(blob) if isinstance(blob, bytes) else _views(blob)
    except (SafetensorError, ValueError, KeyError, TypeError):
        raise InvalidInput(_NO_BLOB) from None
    return header, check_arrays(arrays, "message")


def _views(blob: memoryview) -> Arrays:
    """The arrays where they lie. As strict as the safetensors library is: they fill the blob from the header to the
    end, without gaps, none over another. Raises ValueError, KeyError or TypeError where they do not."""
    size = int.from_bytes(blob[:8], "little")
    text = bytes(blob[8 : 8 + size]).decode()
    said = json.loads(text, object_pairs_hook=_no_two_alike, parse_constant=_no_number)
    if not text.startswith("{") or not all(isinstance(words, str) for words in said.pop("__metadata__").values()):
        raise ValueError("not a header")
    views: Arrays = {}
    at = 8 + size
    for name, one in sorted(said.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = one["data_offsets"]
        dtype, shape = _BY_NAME[one["dtype"]], one["shape"]
        if one.keys() != {"dtype", "shape", "data_offsets"} or not isinstance(shape, list):
            raise ValueError("not how an array is described")
        if not all(type(number) is int and 0 <= number < 1 << 62 for number in (*shape, begin, end)):
            raise ValueError("not a size")
        if 8 + size + begin != at or end - begin != math.prod(shape) * dtype.itemsize:
            raise ValueError("not where the array before it ends, or not of its shape")
        array = np.frombuffer(blob, dtype, math.prod(shape), at).reshape(shape)
        views[name] = array if array.flags.aligned else array.copy()
        at += end - begin
    if at != len(blob):
        raise ValueError("more bytes than arrays")
    return views


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _no_two_alike(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("one name twice")
    return found


def unpack_header(blob: Buffer) -> dict[str, Any]:
    """The header alone, without a look at the arrays. Raises InvalidInput where there is none, or one far too large."""
    size = int.from_bytes(blob[:8], "little")
    if size > _MAX_HEADER:
        raise InvalidInput("The message's header is too large.")
    try:
        header = json.loads(json.loads(bytes(blob[8 : 8 + size]))["__metadata__"][_HEADER])
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
    return array.dtype.kind != "f" or all(bool(np.isfinite(part).all()) for (part,) in steps(array))


def steps(*arrays: NDArray[Any]) -> Iterator[tuple[NDArray[Any], ...]]:
    """Contiguous arrays of one size, few numbers of each at a time, as vectors: what is computed of them takes no
    memory to speak of."""
    flat = [array.reshape(-1) for array in arrays]
    for start in range(0, flat[0].size, _STEP):
        yield tuple(array[start : start + _STEP] for array in flat)
