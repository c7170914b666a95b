"""One bit a number, its sign, and the mean size for all of an array: Seide et al. (2014), 1-Bit Stochastic Gradient
Descent; with this scale and error feedback it converges: Karimireddy et al. (2019), Error Feedback Fixes SignSGD."""

from __future__ import annotations

from typing import Any

import numpy as np

from datasites.wire.codecs.base import Reader, Vector, scale


class Sign:
    words = "of each number its sign alone, and the mean size of all in an array"

    def encode(self, values: Vector, dtype: np.dtype[Any]) -> bytes:
        sizes = np.abs(values)
        largest = float(sizes.max(initial=0.0))
        mean = largest * float((sizes / largest).mean()) if largest else 0.0
        return scale(mean) + np.packbits(values >= 0).tobytes()

    def decode(self, reader: Reader, count: int, dtype: np.dtype[Any]) -> Vector:
        mean = reader.scale()
        up = np.unpackbits(reader.array(np.uint8, (count + 7) // 8), count=count)
        return np.where(up == 1, mean, -mean)

    def most_bytes(self, count: int, itemsize: int) -> int:
        return 8 + (count + 7) // 8
