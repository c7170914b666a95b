"""What a codec of numbers is, and how what it wrote is read back without trust in who wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from policies.errors import InvalidInput

Vector = NDArray[np.float64]
MOST = 1e300  # of a number's size: sums and scales of what is larger could overflow
DAMAGED = "The compressed model is damaged."


class Reader:
    """Takes parts off a blob, from left to right. Every part is asked for by its size, so no length is believed."""

    def __init__(self, blob: bytes) -> None:
        self._blob, self._at = memoryview(blob), 0

    @property
    def left(self) -> int:
        return len(self._blob) - self._at

    def take(self, size: int) -> bytes:
        """Raises InvalidInput where there is less."""
        if not 0 <= size <= self.left:
            raise InvalidInput(DAMAGED)
        self._at += size
        return bytes(self._blob[self._at - size : self._at])

    def array(self, dtype: DTypeLike, count: int) -> NDArray[Any]:
        kind = np.dtype(dtype)
        return np.frombuffer(self.take(kind.itemsize * count), kind)

    def numbers(self, dtype: DTypeLike, count: int) -> Vector:
        """Raises InvalidInput where one of them is not finite: `encode` writes no such number."""
        found = self.array(dtype, count)
        if not np.isfinite(found).all():  # before the cast, which warns of a signalling NaN
            raise InvalidInput(DAMAGED)
        return found.astype(np.float64)

    def number(self, most: int) -> int:
        """A whole number of 8 bytes, from 0 to `most`."""
        found = int.from_bytes(self.take(8), "little")
        if found > most:
            raise InvalidInput(DAMAGED)
        return found

    def scale(self) -> float:
        """What numbers are multiplied with: finite, and 0 or above."""
        found = float(self.array("<f8", 1)[0])
        if not 0 <= found <= MOST:
            raise InvalidInput(DAMAGED)
        return found


class Codec(Protocol):
    """Numbers of one array as bytes, and back. The same numbers always give the same bytes.

    values: float64 of shape (n,), finite and of a size up to MOST. dtype: the array's own.
    """

    def encode(self, values: Vector, dtype: np.dtype[Any]) -> bytes: ...

    def decode(self, reader: Reader, count: int, dtype: np.dtype[Any]) -> Vector:
        """`count` numbers. Raises InvalidInput for what `encode` never writes."""

    def most_bytes(self, count: int, itemsize: int) -> int:
        """The most that `encode` gives for `count` numbers of a dtype with that many bytes each."""

    @property
    def words(self) -> str:
        """For a data owner: what becomes of the numbers."""


def number(value: int) -> bytes:
    return value.to_bytes(8, "little")


def scale(value: float) -> bytes:
    return np.array([value], "<f8").tobytes()


@dataclass(frozen=True)
class Shape:
    """What must be known of an array to read it back."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))


Shapes = Mapping[str, Shape]
