"""A compression, put together by name: `delta+feedback+topk(0.01)+int8+zstd`.

From left to right, each part at most once, each but one of the roundings may be missing:

| part | what it does |
|---|---|
| delta | what travels is the change since the state that the hospital was sent |
| feedback | what the parts after it leave out stays at the hospital, and is added to its next update (error feedback) |
| topk(F) | only the fraction F of each array's numbers that are largest |
| half, int8, int4, sign | numbers of 16, 8, 4 bits; or their signs alone, with one size for each array |
| zstd | entropy coding of what is left |

Arrays of whole numbers travel as they are. BatchNorm's running means and variances travel as themselves, not as
changes, in half precision unless all else is as it is, and without feedback.

Everything is a function of the numbers alone, without chance, and reading back is the same function at both ends, to
the bit: a hospital knows exactly what the researcher will read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasites.wire.codecs import zstd
from datasites.wire.codecs.base import DAMAGED, MOST, Codec, Reader, Shape, Shapes, Vector
from datasites.wire.codecs.buffers import is_buffer
from datasites.wire.codecs.half import Half
from datasites.wire.codecs.integers import Integers
from datasites.wire.codecs.padding import padded
from datasites.wire.codecs.raw import Raw
from datasites.wire.codecs.sign import Sign
from datasites.wire.codecs.topk import TopK
from policies.errors import InvalidInput

Arrays = dict[str, NDArray[Any]]
Vectors = dict[str, Vector]
_ROUNDINGS: dict[str, Codec] = {"half": Half(), "int8": Integers(8), "int4": Integers(4), "sign": Sign()}
_FORM = re.compile(
    r"(?P<delta>delta\+)?(?P<feedback>feedback\+)?(?P<topk>topk\((?P<fraction>0?\.[0-9]{1,6}|1|1\.0)\)\+)?"
    rf"(?P<rounding>(?:{'|'.join(_ROUNDINGS)})\+)?(?P<zstd>zstd\+)?"
)
_EXAMPLE = "Write for instance delta+topk(0.01)+int8+zstd or int8+zstd, in this order: see docs/compression.md."


@dataclass(frozen=True)
class Pipeline:
    """Made by `parse`. `codec` is for the numbers of one array."""

    text: str
    delta: bool
    feedback: bool
    codec: Codec
    entropy: bool

    @classmethod
    @lru_cache(maxsize=64)
    def parse(cls, text: str) -> Pipeline:
        """Raises InvalidInput for what is not a compression."""
        found = _FORM.fullmatch(text + "+") if text else None
        if found is None:
            raise InvalidInput(f"{text!r} is not a compression.", _EXAMPLE)
        rounding = (found["rounding"] or "").rstrip("+")
        codec = _ROUNDINGS[rounding] if rounding else Raw()
        if found["topk"]:
            fraction = float(found["fraction"])
            if not 0 < fraction <= 1:
                raise InvalidInput(f"{text!r}: topk needs a fraction above 0, up to 1.")
            codec = TopK(fraction, codec)
        pipeline = cls(text, bool(found["delta"]), bool(found["feedback"]), codec, bool(found["zstd"]))
        if not pipeline.delta and (pipeline.feedback or found["topk"] or rounding == "sign"):
            raise InvalidInput(f"{text!r}: feedback, topk and sign are for changes of a model.", f"Use delta+{text}.")
        return pipeline

    def changes(self, name: str) -> bool:
        """Whether what travels of an array is its change."""
        return self.delta and not is_buffer(name)

    def _codec_of(self, name: str) -> Codec:
        return _ROUNDINGS["half"] if is_buffer(name) and not isinstance(self.codec, Raw) else self.codec

    @property
    def words(self) -> str:
        """For a data owner."""
        what = "the change since the state that was sent, " if self.delta else ""
        return what + self.codec.words + (f"; {zstd.words}" if self.entropy else "")

    def most_bytes(self, shapes: Shapes) -> int:
        """The most that `pack` gives."""
        plain = self._plain_bytes(shapes)
        plain = zstd.most_bytes(plain) if self.entropy else plain
        return padded(plain) if self._varies else plain

    def moved(self, arrays: Mapping[str, NDArray[Any]], sent: Mapping[str, NDArray[Any]]) -> Vectors:
        """The numbers to pack, of the floating-point arrays: their change since `sent` with delta, else themselves.

        Raises InvalidInput for NaN, infinity, and what is too large.
        """
        vectors: Vectors = {}
        for name, array in sorted(arrays.items()):
            if array.dtype.kind != "f":
                continue
            with np.errstate(over="ignore", invalid="ignore"):
                vector = array.astype(np.float64).ravel()
                vectors[name] = vector - sent[name].astype(np.float64).ravel() if self.changes(name) else vector
        check_finite(vectors)
        return vectors

    def restored(self, vectors: Vectors, whole: Arrays, sent: Mapping[str, NDArray[Any]], shapes: Shapes) -> Arrays:
        """The arrays that the packed numbers stand for."""
        arrays = dict(whole)
        for name, vector in vectors.items():
            spec = shapes[name]
            most = float(np.finfo(spec.dtype).max)
            after = vector + sent[name].astype(np.float64).ravel() if self.changes(name) else vector
            arrays[name] = np.clip(after, -most, most).astype(spec.dtype).reshape(spec.shape)
        return arrays

    def pack(self, vectors: Vectors, arrays: Mapping[str, NDArray[Any]]) -> bytes:
        """vectors: as from `moved`. Of `arrays` those of whole numbers are packed as they are."""
        check_finite(vectors)
        parts = [
            self._codec_of(name).encode(vectors[name], array.dtype) if array.dtype.kind == "f" else array.tobytes()
            for name, array in sorted(arrays.items())
        ]
        blob = b"".join(parts)
        blob = zstd.encode(blob) if self.entropy else blob
        return blob + bytes(padded(len(blob)) - len(blob)) if self._varies else blob

    def unpack(self, blob: bytes, shapes: Shapes) -> tuple[Vectors, Arrays]:
        """(vectors, arrays of whole numbers). Raises InvalidInput for what `pack` never writes."""
        reader = Reader(blob)
        inner = Reader(zstd.decode(reader, self._plain_bytes(shapes))) if self.entropy else reader
        vectors: Vectors = {}
        whole: Arrays = {}
        for name, spec in sorted(shapes.items()):
            if spec.dtype.kind == "f":
                vectors[name] = self._codec_of(name).decode(inner, spec.size, spec.dtype)
            else:
                whole[name] = _whole(inner, spec)
        if self.entropy and inner.left:
            raise InvalidInput(DAMAGED)
        used = len(blob) - reader.left
        if len(blob) != (padded(used) if self._varies else used) or any(reader.take(reader.left)):
            raise InvalidInput(DAMAGED)
        check_finite(vectors)
        return vectors, whole

    @property
    def _varies(self) -> bool:
        """Whether the length depends on the numbers."""
        return self.entropy or isinstance(self.codec, TopK)

    def _plain_bytes(self, shapes: Shapes) -> int:
        return sum(
            self._codec_of(name).most_bytes(spec.size, spec.dtype.itemsize)
            if spec.dtype.kind == "f"
            else spec.size * spec.dtype.itemsize
            for name, spec in shapes.items()
        )


def check_finite(vectors: Vectors) -> None:
    """Raises InvalidInput, naming arrays and never values."""
    bad = [name for name, vector in sorted(vectors.items()) if not float(np.abs(vector).max(initial=0.0)) <= MOST]
    if bad:
        raise InvalidInput(
            f"NaN, infinity or too large a number is in {', '.join(map(repr, bad))}: that cannot be compressed.",
            "Look at the learning rate: the model has diverged.",
        )


def shapes_of(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Shape]:
    return {name: Shape(array.shape, array.dtype) for name, array in arrays.items()}


def _whole(reader: Reader, spec: Shape) -> NDArray[Any]:
    if spec.dtype == np.bool_:  # another byte than 0 and 1 would be a bool that is neither
        found = reader.array(np.uint8, spec.size)
        if np.any(found > 1):
            raise InvalidInput(DAMAGED)
        return found.astype(np.bool_).reshape(spec.shape)
    return reader.array(spec.dtype, spec.size).reshape(spec.shape)
