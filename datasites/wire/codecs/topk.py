"""The largest numbers of each array: Aji and Heafield (2017), Sparse Communication for Distributed Gradient Descent.

Where they stand is told by the gaps between them, one byte each: a byte of 255 says that the gap goes on. At 1% a place
so costs 8.7 bits, against 8.1 of the best possible code and 32 of plain indices. Where gaps are long, two bytes are
used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasites.wire.codecs.base import DAMAGED, Codec, Reader, Vector, number
from policies.errors import InvalidInput

_WIDTHS = ("<u1", "<u2")


@dataclass(frozen=True)
class TopK:
    """fraction: of an array's numbers, above 0 and up to 1; at least one leaves. values: what becomes of these."""

    fraction: float
    values: Codec

    @property
    def words(self) -> str:
        return f"only the {100 * self.fraction:g}% largest numbers of each array; of these {self.values.words}"

    def encode(self, values: Vector, dtype: np.dtype[Any]) -> bytes:
        count = self._kept(len(values))
        if count == 0:
            return b""
        places = np.sort(np.argpartition(np.abs(values), len(values) - count)[len(values) - count :])
        gaps = np.diff(places, prepend=-1) - 1
        width, told = min(((i, _told(gaps, kind)) for i, kind in enumerate(_WIDTHS)), key=lambda one: len(one[1]))
        return bytes([width]) + number(len(told)) + told + self.values.encode(values[places], dtype)

    def decode(self, reader: Reader, count: int, dtype: np.dtype[Any]) -> Vector:
        kept, found = self._kept(count), np.zeros(count)
        if kept == 0:
            return found
        width = reader.take(1)[0]
        if width >= len(_WIDTHS):
            raise InvalidInput(DAMAGED)
        kind = np.dtype(_WIDTHS[width])
        size = reader.number(self._most_gaps(count))
        if size % kind.itemsize:
            raise InvalidInput(DAMAGED)
        told = reader.array(kind, size // kind.itemsize)
        ends = told != np.iinfo(kind).max
        places = np.cumsum(told, dtype=np.int64)[ends] + np.arange(np.count_nonzero(ends))
        if len(places) != kept or not ends[-1] or places[-1] >= count:
            raise InvalidInput(DAMAGED)
        found[places] = self.values.decode(reader, kept, dtype)
        return found

    def most_bytes(self, count: int, itemsize: int) -> int:
        kept = self._kept(count)
        return 9 + self._most_gaps(count) + self.values.most_bytes(kept, itemsize) if kept else 0

    def _kept(self, count: int) -> int:
        return min(count, math.ceil(self.fraction * count))

    def _most_gaps(self, count: int) -> int:
        return self._kept(count) + count // np.iinfo(_WIDTHS[0]).max


def _told(gaps: NDArray[np.int64], kind: str) -> bytes:
    base = int(np.iinfo(kind).max)
    longer, rest = np.divmod(gaps, base)
    told = np.full(int(longer.sum()) + len(gaps), base, kind)
    told[np.cumsum(longer + 1) - 1] = rest
    return told.tobytes()
