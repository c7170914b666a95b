"""Sums over patients, for hospitals of which only the sum of all is read: means and correlations follow from that.

A hospital adds nothing to a column's sums where fewer than `least` of its patients have a value, and nothing to any
product where it has fewer than `least` patients. Columns that are counted value by value are left out: their sums
follow from the counts, as far as these may leave. All values are shares of the column's range, from 0 to 1.
"""

import numpy as np
import pandas as pd


def sums(table: pd.DataFrame, columns: list[dict], least: int) -> np.ndarray:
    """float64 of shape (columns, 3): how many patients, and as many times the mean of their values and of the squares.

    How many: all patients, without those who have no value; of these only full groups of `least` are left out, so that
    no smaller number of them can be told from it.
    """
    return np.array([_sums(table, column, least) for column in columns])


def _sums(table: pd.DataFrame, column: dict, least: int) -> tuple[float, float, float]:
    values = np.zeros(0) if "values" in column else shares(table, column)
    values = values[~np.isnan(values)]
    if len(values) < max(2, least):
        return 0.0, 0.0, 0.0
    many = len(table) - (len(table) - len(values)) // least * least
    return float(many), many * float(values.mean()), many * float((values**2).mean())


def products(table: pd.DataFrame, columns: list[dict], names: list[str], least: int) -> np.ndarray:
    """float64 of shape (names, names), of columns that are counted in bins and never missing."""
    if not names or len(table) < max(2, least):
        return np.zeros((len(names), len(names)))
    chosen = [next(column for column in columns if column["name"] == name) for name in names]
    values = np.stack([shares(table, column) for column in chosen], axis=1)
    return values.T @ values


def shares(table: pd.DataFrame, column: dict) -> np.ndarray:
    """float64: the values as shares of the range, NaN where there is none."""
    low, high = column["low"], column["high"]
    return (np.clip(table[column["name"]].to_numpy(np.float64), low, high) - low) / (high - low)
