"""A column of two tables cut into the same cells: deciles of the older one, categories, 0 and 1; missing is one too."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from datasites.wire.dictionary import Column

Counts = NDArray[np.int64]
if TYPE_CHECKING:
    Values = pd.Series[Any]
_QUANTILES = np.arange(1, 10) / 10
MISSING, OTHERS = "missing", "others"


@dataclass(frozen=True)
class Cells:
    """By cell: its name, and how many rows and how many patients it holds, before [0] and after [1]; shape [2, cells].
    No cell is empty on both sides."""

    names: tuple[str, ...]
    rows: Counts
    patients: Counts


def cut(before: Values, after: Values, who: tuple[Values, Values], column: Column) -> Cells:
    """Of two columns in the dictionary's types. who: the patients of their rows."""
    names, codes = _categories(before, after, column) if column.type == "category" else _numbers(before, after, column)
    rows, patients = (np.zeros((2, len(names)), np.int64) for _ in range(2))
    for side, (code, persons) in enumerate(zip(codes, who, strict=True)):
        rows[side] = np.bincount(code, minlength=len(names))
        once = pd.DataFrame({"cell": code, "patient": persons.to_numpy()}).drop_duplicates()
        patients[side] = np.bincount(once["cell"], minlength=len(names))
    return _kept(Cells(names, rows, patients), rows.sum(axis=0) > 0)


def pooled(cells: Cells, least: int) -> Cells:
    """The same with all cells of fewer than `least` patients on both sides put together. Patients of several of these
    count for each, so what `others` holds is not to be told."""
    small = cells.patients.max(axis=0) < least
    if small.sum() < 2:
        return cells

    def together(counts: Counts) -> Counts:
        return np.hstack([counts[:, ~small], counts[:, small].sum(axis=1, keepdims=True)])

    names = [name for name, one in zip(cells.names, small, strict=True) if not one]
    return Cells((*names, OTHERS), together(cells.rows), together(cells.patients))


def _categories(before: Values, after: Values, column: Column) -> tuple[tuple[str, ...], list[Counts]]:
    names = column.categories or ()
    codes = [np.asarray(side.cat.codes, np.int64) for side in (before, after)]
    return (*names, MISSING), [np.where(code < 0, len(names), code) for code in codes]


def _numbers(before: Values, after: Values, column: Column) -> tuple[tuple[str, ...], list[Counts]]:
    """The upper bound belongs to a cell, the lower one to the cell below."""
    known = before.dropna().to_numpy(np.float64)
    edges = np.unique(np.quantile(known, _QUANTILES, method="inverted_cdf")) if known.size else np.zeros(0)
    if column.type == "boolean":
        edges, names = np.array([0.0]), ["0", "1"]
    elif edges.size == 0:
        names = ["any number"]
    else:
        between = [f"above {low:g} to {high:g}" for low, high in pairwise(edges)]
        names = [f"up to {edges[0]:g}", *between, f"above {edges[-1]:g}"]
    codes = []
    for side in (before, after):
        values = side.to_numpy(np.float64)
        codes.append(np.where(np.isnan(values), len(names), np.searchsorted(edges, values)))
    return (*names, MISSING), codes


def _kept(cells: Cells, which: NDArray[np.bool_]) -> Cells:
    names = tuple(name for name, one in zip(cells.names, which, strict=True) if one)
    return Cells(names, cells.rows[:, which], cells.patients[:, which])
