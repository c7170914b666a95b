"""The mock twin: a table made from the dictionary alone, so publishing it tells nothing about any patient."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from datasites.wire.dictionary import Column, Dictionary
from datasites.wire.images import layout
from policies.errors import InvalidInput

_MISSING = 0.05
_ONE_ENCOUNTER = 0.7  # chance that an encounter is the patient's last
_SAME_AS_BEFORE = 0.5  # chance that a value is the patient's usual one
_GRID = np.linspace(0.0, 1.0, 257)

Floats = NDArray[np.float64]


def mock_twin(dictionary: Dictionary, rows: int, seed: int) -> pd.DataFrame:
    """`rows` made-up encounters with the columns and types of a conformed table; the same seed gives the same bytes.

    Plausible: types, ranges, categories, `typical` and `prior` (without them every allowed value is equally likely),
    several encounters per patient (1.4 on average), whose values resemble each other, and missing values (1 in 20).
    Every class of a boolean or category target occurs where the rows suffice. Not plausible: anything across columns,
    and images, which are noise, every pixel drawn by itself. No column predicts another, so a model trained on a twin
    learns nothing, and a patient's lasting traits (sex, year of birth) may differ between encounters. Adding a column
    to the dictionary leaves the other columns as they were.

    Raises InvalidInput for fewer than one row or a negative seed.
    """
    if rows < 1 or seed < 0:
        raise InvalidInput("A twin needs at least one row and a seed of 0 or more.", "Give other numbers.")
    patients = _patients(_generator(seed, dictionary.table.patient_key), rows)
    twin: dict[str, Any] = {dictionary.table.patient_key: pd.Series([f"mock-{n:07d}" for n in patients], dtype=str)}
    for column in dictionary.listed:
        rng = _generator(seed, column.name)
        if column.type == "image":
            twin[column.name] = _noise(rng, rows, column)
            continue
        values = _values(column, _resembling(rng, patients))
        if column.missing:
            values[_some(rng, rows)] = np.nan
        if column.name == dictionary.table.target:
            _show_every_class(rng, values, column)
        twin[column.name] = _typed(values, column)
    return pd.DataFrame(twin)


def _generator(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, *name.encode()])


def _patients(rng: np.random.Generator, rows: int) -> NDArray[np.int64]:
    """The patient number of each row."""
    encounters = rng.geometric(_ONE_ENCOUNTER, size=rows)
    return rng.permutation(np.repeat(np.arange(rows), encounters)[:rows])


def _resembling(rng: np.random.Generator, patients: NDArray[np.int64]) -> Floats:
    """Each row's place in its column's distribution: uniform on [0, 1), often the patient's usual one."""
    usual = rng.random(len(patients))[patients]
    return np.where(rng.random(len(patients)) < _SAME_AS_BEFORE, usual, rng.random(len(patients)))


def _values(column: Column, places: Floats) -> Floats:
    """The values at these places; a category is its number."""
    if column.type == "category":
        return np.floor(places * len(column.categories or ()))
    if column.type == "boolean":
        return (places < (0.5 if column.prior is None else column.prior)).astype(np.float64)
    low, high = column.bounds
    quantiles = _quantiles(low, high, column.typical)
    if column.type == "integer" and column.typical is None:
        values = np.floor(low + places * (high - low + 1))  # so that the two ends are as likely as the others
    else:
        values = np.round(np.interp(places, _GRID, quantiles), _decimals(column))
    return values.clip(low, high)


def _quantiles(low: float, high: float, typical: tuple[float, float] | None) -> Floats:
    """The distribution's values at `_GRID`: the normal `typical` cut off at the range, or the even distribution."""
    if typical is None:
        return low + _GRID * (high - low)
    normal = NormalDist(*typical)
    first, last = normal.cdf(low), normal.cdf(high)
    shares = np.clip(first + _GRID * (last - first), 1e-9, 1 - 1e-9)
    return np.clip([normal.inv_cdf(share) for share in shares], low, high)


def _decimals(column: Column) -> int:
    """Enough for about a thousand distinct values in the range; none for integers."""
    low, high = column.bounds
    if column.type == "integer" or low == high:
        return 0
    return min(12, max(0, 3 - math.floor(math.log10(high - low))))


def _noise(rng: np.random.Generator, rows: int, column: Column) -> pd.Series[Any]:
    """Images of which every pixel is drawn from the distribution that the dictionary states."""
    image, (low, high) = layout(column), column.bounds
    # every whole number has the same share of the even distribution, the two ends too
    quantiles = _quantiles(low, high, column.typical) if column.typical else low - 0.5 + _GRID * (high - low + 1)
    drawn = (np.rint(np.interp(rng.random(image.pixels), _GRID, quantiles)).clip(low, high) for _ in range(rows))
    return pd.Series([one.astype(image.dtype).tobytes() for one in drawn], dtype=object)


def _some(rng: np.random.Generator, rows: int) -> NDArray[np.bool_]:
    """Rows to leave missing: one in twenty, at least one unless there is but one row."""
    chosen = rng.random(rows) < _MISSING
    if rows > 1:
        chosen[rng.integers(rows)] = True
    return chosen


def _show_every_class(rng: np.random.Generator, values: Floats, column: Column) -> None:
    classes = {"boolean": 2, "category": len(column.categories or ())}.get(column.type, 0)
    shown = np.arange(min(classes, len(values)))
    if not np.isin(shown, values).all():
        values[rng.permutation(len(values))[: len(shown)]] = shown


def _typed(values: Floats, column: Column) -> pd.Series[Any]:
    if column.type == "category":
        codes = np.nan_to_num(values, nan=-1).astype(np.int64)
        return pd.Series(pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(list(column.categories or ()))))
    if column.missing or column.type == "number":
        return pd.Series(values)
    return pd.Series(values.astype("int64" if column.type == "integer" else "int8"))
