"""Half precision (IEEE 754 binary16): 11 bits of each number, and a power of two for the array, so that nothing is too
large or too small for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from datasites.wire.codecs.base import Reader, Vector, scale

_TOP, _LEAST = 15, -1074  # exponents: of the largest half, and of the smallest float64


class Half:
    words = "each number in half precision (16 bits)"

    def encode(self, values: Vector, dtype: np.dtype[Any]) -> bytes:
        largest = float(np.abs(values).max(initial=0.0))
        unit = float(np.ldexp(1.0, max(int(np.frexp(largest)[1]) - _TOP, _LEAST)))
        return scale(unit) + (values / unit).astype("<f2").tobytes()

    def decode(self, reader: Reader, count: int, dtype: np.dtype[Any]) -> Vector:
        unit = reader.scale()
        return reader.numbers("<f2", count) * unit

    def most_bytes(self, count: int, itemsize: int) -> int:
        return 8 + 2 * count
