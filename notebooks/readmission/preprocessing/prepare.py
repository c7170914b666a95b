"""A table's columns as a model's inputs, by the constants in the approved configuration: nothing is measured here.

`wr.Preprocessing` makes these constants of the public data dictionary, or of statistics that hospitals have released
already. Every hospital prepares alike, and preparing discloses nothing. This file needs nothing but NumPy and pandas,
so that it can be copied into the folder of any study:

    x = prepare.transform(table, config["preprocessing"])
"""

import numpy as np
import pandas as pd


def transform(table: pd.DataFrame, preprocessing: list[dict]) -> np.ndarray:
    """float32 of shape (rows, inputs), finite: the columns from left to right."""
    columns = [column for one in preprocessing for column in _columns(table[one["column"]], one)]
    return np.stack(columns, axis=1).astype(np.float32)


def _columns(values: pd.Series, one: dict) -> list[np.ndarray]:
    return _category(values, one) if one["kind"] == "category" else _number(values, one)


def _number(values: pd.Series, one: dict) -> list[np.ndarray]:
    """Imputed, centred, scaled and clipped; and where the entry says so, whether it was missing."""
    numbers = values.to_numpy(np.float64)
    missing = np.isnan(numbers)
    stand_in = one["center"] if one["missing"] is None else one["missing"]
    scaled = (np.where(missing, stand_in, numbers) - one["center"]) / one["scale"]
    found = np.clip(scaled, one["low"], one["high"])
    return [found, missing.astype(np.float64)] if one["indicator"] else [found]


def _category(values: pd.Series, one: dict) -> list[np.ndarray]:
    """One input for each category; all are 0 where the value is missing. Or its number, for an embedding."""
    codes = pd.Index(one["categories"]).get_indexer(values.astype(object))
    if one["encoding"] == "index":
        return [np.where(codes < 0, len(one["categories"]), codes)]
    return [codes == number for number in range(len(one["categories"]))]
