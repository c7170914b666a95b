"""Uniform quantisation: whole multiples of a step, which is the array's largest number over the levels.

8 bits have 127 levels on each side of zero, 4 bits have 7. Rounded to the nearest, so that the same numbers always give
the same bytes; what rounding takes away is what `feedback` is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from datasites.wire.codecs.base import Reader, Vector, scale


@dataclass(frozen=True)
class Integers:
    """bits: 8 or 4."""

    bits: int

    @property
    def words(self) -> str:
        return f"each number rounded to {self.bits} bits"

    @property
    def _levels(self) -> int:
        return (1 << (self.bits - 1)) - 1

    def encode(self, values: Vector, dtype: np.dtype[Any]) -> bytes:
        step = float(np.abs(values).max(initial=0.0)) / self._levels
        scaled = values / step if step else np.zeros_like(values)
        codes = np.rint(scaled).clip(-self._levels, self._levels).astype(np.int8)
        return scale(step) + (codes.tobytes() if self.bits == 8 else _paired(codes))

    def decode(self, reader: Reader, count: int, dtype: np.dtype[Any]) -> Vector:
        step = reader.scale()
        codes = reader.array(np.int8, count) if self.bits == 8 else _apart(reader, count)
        return codes.astype(np.float64) * step

    def most_bytes(self, count: int, itemsize: int) -> int:
        return 8 + (count * self.bits + 7) // 8


def _paired(codes: np.ndarray[Any, np.dtype[np.int8]]) -> bytes:
    """Two to a byte, the first in its lower half."""
    halves = (np.append(codes, np.zeros(len(codes) % 2, np.int8)) + 8).astype(np.uint8)
    return np.asarray(halves[::2] | (halves[1::2] << 4), np.uint8).tobytes()


def _apart(reader: Reader, count: int) -> np.ndarray[Any, np.dtype[np.int8]]:
    both = reader.array(np.uint8, (count + 1) // 2)
    return np.stack([both & 15, both >> 4], axis=1).ravel()[:count].astype(np.int8) - np.int8(8)
