"""Every number as it is, in its array's own dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from datasites.wire.codecs.base import Reader, Vector


class Raw:
    words = "each number as it is"

    def encode(self, values: Vector, dtype: np.dtype[Any]) -> bytes:
        most = float(np.finfo(dtype).max)
        return np.clip(values, -most, most).astype(dtype).tobytes()

    def decode(self, reader: Reader, count: int, dtype: np.dtype[Any]) -> Vector:
        return reader.numbers(dtype, count)

    def most_bytes(self, count: int, itemsize: int) -> int:
        return count * itemsize
