"""Reading one column by its dictionary entry: the values in their final form, and which rows break which rule.

The one place that decides what counts as a number, a 0/1 or a category; checking and conforming both use it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from numbers import Number
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from datasites.wire.dictionary import Column
from datasites.wire.dictionary_rules import LARGEST
from datasites.wire.images import from_cell, layout

Mask = NDArray[np.bool_]
Rule = Literal[
    "empty", "absent", "repeated", "unlisted", "missing", "type", "whole", "range", "category", "precision", "shape"
]
Faults = dict[Rule, Mask]
_BOOLEANS = {"True": 1.0, "true": 1.0, "TRUE": 1.0, "False": 0.0, "false": 0.0, "FALSE": 0.0}
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_DTYPES = {"number": "float64", "integer": "int64", "boolean": "int8"}


@dataclass(frozen=True)
class Reading:
    """A column's values, meaningful in the rows that no mask of `faults` (rule name -> rows) marks."""

    values: pd.Series[Any]
    faults: Faults


def read_column(series: pd.Series[Any], column: Column) -> Reading:
    """Reads `series` as `column` says.

    number -> float64; integer -> int64; boolean -> int8 (0/1); an integer or boolean that may be missing -> float64
    with NaN; category -> Categorical over the dictionary's categories; image -> bytes, read from bytes or base64 text.
    Missing are None, NaN and the empty text; True and False count as 1 and 0.
    Rules: missing, type, whole, range, category, shape.
    """
    if column.type == "image":
        return _read_image(series, column)
    if column.type == "category":
        return _read_category(series, column)
    return _read_number(series, column)


def read_key(series: pd.Series[Any]) -> Reading:
    """The patient key as text: 7, 7.0 and "7" are the same patient. Rules: missing, type, precision."""
    text, missing = _as_text(series)
    faults: Faults = {"missing": missing, "type": text.isna().to_numpy() & ~missing}
    if series.dtype.kind == "f":
        # two long numbers may have become the same float before they reached us
        faults["precision"] = np.abs(series.to_numpy(dtype=np.float64)) >= LARGEST
    return Reading(text.astype(str), faults)


def _read_category(series: pd.Series[Any], column: Column) -> Reading:
    text, missing = _as_text(series)
    dtype = pd.CategoricalDtype(list(column.categories or ()))
    codes = dtype.categories.get_indexer(pd.Index(text))
    faults: Faults = {**_missing(missing, column), "category": (codes < 0) & ~missing}
    return Reading(pd.Series(pd.Categorical.from_codes(codes, dtype=dtype)), faults)


def _read_image(series: pd.Series[Any], column: Column) -> Reading:
    """Every image by itself: together they may be most of the machine's memory."""
    image, (low, high) = layout(column), column.bounds
    absent = series.isna().to_numpy() | np.fromiter((isinstance(v, str) and not v for v in series), bool, len(series))
    cells = [None if empty else from_cell(value) for value, empty in zip(series, absent, strict=True)]
    fits = np.fromiter((cell is not None and len(cell) == image.nbytes for cell in cells), bool, len(cells))
    outside = np.zeros(len(cells), np.bool_)
    if (low, high) != (0, np.iinfo(image.dtype).max):
        for row in np.flatnonzero(fits):
            numbers = image.numbers(cells[row] or b"")
            outside[row] = numbers.min() < low or numbers.max() > high
    unread = np.fromiter((cell is None for cell in cells), bool, len(cells))
    faults: Faults = {"missing": absent, "type": unread & ~absent, "shape": ~unread & ~fits, "range": outside}
    return Reading(pd.Series(cells, dtype=object), faults)


def _read_number(series: pd.Series[Any], column: Column) -> Reading:
    numbers, missing = _as_numbers(series)
    low, high = column.bounds
    faults: Faults = {**_missing(missing, column), "type": np.isnan(numbers) & ~missing}
    faults["range"] = (numbers < low) | (numbers > high)
    if column.type != "number":
        faults["whole"] = (numbers != np.floor(numbers)) & ~np.isnan(numbers)
    return Reading(_in_final_form(numbers, column), faults)


def _in_final_form(numbers: NDArray[np.float64], column: Column) -> pd.Series[Any]:
    if column.missing:
        return pd.Series(numbers)
    low, high = column.bounds
    # faulty rows must not overflow the cast; they are never used
    return pd.Series(np.nan_to_num(numbers).clip(low, high).astype(_DTYPES[column.type]))


def _missing(missing: Mask, column: Column) -> Faults:
    return {} if column.missing else {"missing": missing}


def _as_numbers(series: pd.Series[Any]) -> tuple[NDArray[np.float64], Mask]:
    """Values as float64, NaN where there is none, and which of these are missing rather than wrong."""
    if series.dtype.kind in "iufb" and isinstance(series.dtype, np.dtype):
        numbers = series.to_numpy(dtype=np.float64)
        return numbers, np.isnan(numbers)
    # reading each distinct text once is what makes a wide table of text fast
    text, missing = _as_text(series)
    codes, uniques = pd.factorize(text)
    return np.array([*map(_number, uniques), np.nan])[codes], missing


def _number(word: str) -> float:
    """The number that `word` writes, else NaN. pandas' own parser differs between versions in the last digit."""
    return float(word) if _NUMBER.fullmatch(word) else _BOOLEANS.get(word, math.nan)


def _as_text(series: pd.Series[Any]) -> tuple[pd.Series[Any], Mask]:
    """Values as text, NaN where a value is missing or is neither text nor a number; and which are missing."""
    try:
        codes, uniques = pd.factorize(series)
    except TypeError:  # lists and the like
        return pd.Series(np.full(len(series), np.nan), dtype=object), series.isna().to_numpy()
    words = [_word(value) for value in uniques.tolist()]
    empty = np.array([word == "" for word in words] + [True])
    table = np.array([word or None for word in words] + [None], dtype=object)
    return pd.Series(table[codes], dtype=object), empty[codes]


def _word(value: Any) -> str | None:
    """One value as text: whole floats lose their ".0", which pandas adds to integers when some are missing."""
    if isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value):
        return str(int(value))
    return str(value) if isinstance(value, str | Number) else None
