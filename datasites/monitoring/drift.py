"""Whether a newer table looks like the one that studies were trained on, column by column; computed at home.

Two measures. The population stability index (Siddiqi 2006) over cells: sum of (q - p) ln(q / p). The
Kolmogorov-Smirnov statistic of numbers: the greatest distance of the two distribution functions. Either counts as drift
where it is at least its threshold *and* more than chance would give: small tables have a PSI of 0.2 by chance alone.
Without drift, PSI is about (1/n + 1/m) times chi-square with a degree of freedom less than cells (Yurdakul 2018). Stays
of one patient are not independent, so n and m count patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from datasites.monitoring.cells import OTHERS, Cells, Counts, cut, pooled
from datasites.wire.dictionary import Column, Dictionary
from datasites.wire.images import brightness, layout

if TYPE_CHECKING:
    Values = pd.Series[Any]
State = Literal["steady", "drifted", "withheld"]
_EMPTY = 0.5  # rows that an empty cell is taken to hold, or PSI would be infinite
_CHANCE = 0.01  # that any column of a table is told for nothing


@dataclass(frozen=True)
class Limits:
    """From where a change is told, and below how many patients nothing is."""

    psi: float
    ks: float
    least_patients: int
    least_cell: int


@dataclass(frozen=True)
class Moved:
    """The cell that changed most; shares of the rows, before and after."""

    cell: str
    before: float
    after: float


@dataclass(frozen=True)
class ColumnDrift:
    """psi, ks: None where there is nothing to compare. by_chance: the PSI that chance gives in one of a hundred tables;
    p: chance of a ks as large."""

    column: str
    state: State
    psi: float | None = None
    by_chance: float | None = None
    ks: float | None = None
    p: float | None = None
    moved: Moved | None = None


def compare(before: pd.DataFrame, after: pd.DataFrame, dictionary: Dictionary, limits: Limits) -> list[ColumnDrift]:
    """All columns of two tables in the dictionary's types, the one that changed most first."""
    key = dictionary.table.patient_key
    who = (before[key], after[key])
    if min(side.nunique() for side in who) < limits.least_patients:
        return [ColumnDrift(name, "withheld") for name in dictionary.columns]
    chance = _CHANCE / len(dictionary.columns)
    found = [_column(_values(before, c), _values(after, c), who, c, limits, chance) for c in dictionary.listed]
    return sorted(found, key=lambda one: (one.state != "drifted", -(one.psi or 0.0), one.column))


def _values(table: pd.DataFrame, column: Column) -> Values:
    """Of an image the mean of its pixels: another scanner, or other settings, show there first."""
    if column.type != "image":
        return table[column.name]
    return pd.Series(brightness(table[column.name], layout(column)), index=table.index, name=column.name)


def psi(before: Counts, after: Counts) -> float:
    """The population stability index of two rows of counts over the same cells."""
    p, q = (np.maximum(side, _EMPTY) / side.sum() for side in (before, after))
    return float(((q - p) * np.log(q / p)).sum())


def psi_by_chance(cells: int, patients: tuple[int, int], chance: float) -> float:
    """The PSI that tables of so many patients exceed with this chance, where nothing has changed."""
    return float(stats.chi2.ppf(1 - chance, max(cells - 1, 1)) * sum(1 / n for n in patients))


def ks(before: Values, after: Values, patients: tuple[int, int]) -> tuple[float, float]:
    """The Kolmogorov-Smirnov statistic, and the chance of one as large between samples of so many patients."""
    statistic = float(stats.ks_2samp(before.to_numpy(), after.to_numpy(), method="asymp").statistic)
    n, m = patients
    return statistic, float(stats.kstwo.sf(statistic, max(round(n * m / (n + m)), 1)))


def _column(
    before: Values,
    after: Values,
    who: tuple[Values, Values],
    column: Column,
    limits: Limits,
    chance: float,
) -> ColumnDrift:
    cells = cut(before, after, who, column)
    if column.type == "category":  # of which there may be thousands, each of a patient or two
        cells = pooled(cells, limits.least_cell)
    n, m = (side.nunique() for side in who)
    index, usual = psi(*cells.rows), psi_by_chance(len(cells.names), (n, m), chance)
    distance, p = _distance(before, after, who, column, limits)
    far = index >= limits.psi and index > usual
    apart = distance is not None and p is not None and distance >= limits.ks and p < chance
    state: State = "drifted" if far or apart else "steady"
    return ColumnDrift(column.name, state, index, usual, distance, p, _moved(cells, limits.least_cell))


def _distance(
    before: Values,
    after: Values,
    who: tuple[Values, Values],
    column: Column,
    limits: Limits,
) -> tuple[float | None, float | None]:
    """Categories have no order; nor is anything told of few patients' numbers."""
    if column.type == "category":
        return None, None
    n, m = (int(persons[side.notna()].nunique()) for side, persons in zip((before, after), who, strict=True))
    return ks(before.dropna(), after.dropna(), (n, m)) if min(n, m) >= limits.least_patients else (None, None)


def _moved(cells: Cells, least: int) -> Moved | None:
    """Of the cells that hold nobody, or enough patients, on each side."""
    p, q = cells.rows / cells.rows.sum(axis=1, keepdims=True)
    told = ((cells.patients == 0) | (cells.patients >= least)).all(axis=0) & (np.array(cells.names) != OTHERS)
    if not told.any():
        return None
    most = int(np.argmax(np.where(told, np.abs(q - p), -1)))
    return Moved(cells.names[most], float(p[most]), float(q[most]))
