"""An image in a cell of a table: its pixels and nothing else, as many bytes as the dictionary says.

A cell holds no file: no header, no tags and no name can ride along, as they do in DICOM, JPEG and PNG. What the pixels
themselves show (a face, a name burned in) no program here finds.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    from datasites.wire.dictionary import Column, Dictionary

Depth = Literal[1, 2]
MOST_BYTES = 1024 * 1024  # of all images of one row
DEEPEST = 2**16 - 1  # the highest value of a pixel
_ONE_BYTE = 2**8 - 1
_BY_BYTES: dict[int, np.dtype[Any]] = {1: np.dtype(np.uint8), 2: np.dtype("<u2")}


@dataclass(frozen=True)
class Layout:
    """How an image lies in its cell: channel by channel, row by row from the top, each row from the left; every pixel
    in `depth` bytes, the lower first."""

    channels: int
    height: int
    width: int
    depth: Depth

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width), as convolutions take it."""
        return self.channels, self.height, self.width

    @property
    def pixels(self) -> int:
        return self.channels * self.height * self.width

    @property
    def nbytes(self) -> int:
        return self.pixels * self.depth

    @property
    def dtype(self) -> np.dtype[Any]:
        return _BY_BYTES[self.depth]

    def numbers(self, cell: bytes) -> NDArray[Any]:
        """The pixels of one cell, [pixels]."""
        return np.frombuffer(cell, self.dtype)


def layout(column: Column) -> Layout:
    """Of an image column."""
    depth = depth_of(column.bounds[1])
    return Layout(column.channels or 1, column.height or 0, column.width or 0, depth)


def depth_of(highest: float) -> Depth:
    """The bytes of a pixel that is at most `highest`."""
    return 1 if highest <= _ONE_BYTE else 2


def pixels(cells: Iterable[Any], layout: Layout, instead: float = 0.0) -> NDArray[np.float32]:
    """[rows, pixels]. A cell that is no such image is `instead` all over: no value of a cell raises an error."""
    listed = list(cells)
    numbers = np.full((len(listed), layout.pixels), instead, np.float32)
    for row, cell in enumerate(listed):
        if isinstance(cell, bytes) and len(cell) == layout.nbytes:
            numbers[row] = layout.numbers(cell)
    return numbers


def from_cell(value: Any) -> bytes | None:
    """The bytes of a cell as a Parquet file or a database gives it, or as base64 text; None for anything else."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None


def as_text(table: pd.DataFrame, dictionary: Dictionary) -> pd.DataFrame:
    """The table with its images in base64, for a CSV file."""
    written = {
        name: pd.Series([base64.b64encode(cell).decode() for cell in table[name]], index=table.index, dtype=object)
        for name in image_columns(dictionary)
        if name in table
    }
    return table.assign(**written)


def image_columns(dictionary: Dictionary) -> Iterator[str]:
    """Their names."""
    return (column.name for column in dictionary.listed if column.type == "image")


def brightness(cells: Iterable[bytes], layout: Layout) -> NDArray[np.float64]:
    """The mean pixel of each image."""
    return np.array([layout.numbers(cell).mean() for cell in cells], np.float64)
