"""Means, standard deviations and correlations, of no fewer patients than the approved configuration says.

Columns that are counted value by value have no mean here: it follows from their counts, as far as these may leave, and
an exact one would give away a count that is withheld.
"""

import cells
import numpy as np
import pandas as pd

SCALE = 1000  # means and deviations are told in thousandths of the column's range, so that few decimals lose nothing
UNTOLD = -1.0  # in the place of a mean or a deviation; neither can be below 0 on that scale
NONE = -2.0  # in the place of a correlation


def moments(table: pd.DataFrame, columns: list[dict], least: int) -> np.ndarray:
    """float64 of shape (columns, 2): mean and standard deviation (of the sample, ddof=1) of the values there are."""
    return np.array([_moments(table, column, least) for column in columns])


def _moments(table: pd.DataFrame, column: dict, least: int) -> tuple[float, float]:
    if "values" in column:
        return UNTOLD, UNTOLD
    low, high = column["low"], column["high"]
    values = np.clip(table[column["name"]].dropna().to_numpy(np.float64), low, high)
    if len(values) < max(2, least):
        return UNTOLD, UNTOLD
    scaled = (values - low) / (high - low) * SCALE
    return float(scaled.mean()), float(scaled.std(ddof=1))


def correlations(table: pd.DataFrame, columns: list[dict], names: list[str], least: int) -> np.ndarray:
    """float64 of shape (names, names). None is told of a column that has one value here, or a count below `least`; nor
    of two columns of two values each that have fewer than `least` patients in common in any of the four ways."""
    chosen = [next(column for column in columns if column["name"] == name) for name in names]
    values = table[names].to_numpy(np.float64)
    if len(values) < max(2, least) or not names:
        return np.full((len(names), len(names)), NONE)
    told = [_varies(table, column, values[:, i], least) for i, column in enumerate(chosen)]
    found = np.full((len(names), len(names)), NONE)
    found[np.ix_(told, told)] = np.corrcoef(values[:, told], rowvar=False) if any(told) else NONE
    pairs = [i for i, column in enumerate(chosen) if told[i] and len(column.get("values", ())) == 2]
    for at, i in enumerate(pairs):
        for j in pairs[:at]:
            if _few(cells.places(table, chosen[i]) * 2 + cells.places(table, chosen[j]), least):
                found[i, j] = found[j, i] = NONE
    return found


def _varies(table: pd.DataFrame, column: dict, values: np.ndarray, least: int) -> bool:
    few = "values" in column and _few(cells.places(table, column), least)
    return not few and bool(values.std() > 0)


def _few(place: np.ndarray, least: int) -> bool:
    """Whether some, but fewer than `least`, share a cell."""
    count = np.bincount(place)
    return bool(((count > 0) & (count < least)).any())
