"""How many patients have each value of a column.

Values and bins come from the approved configuration, which has them from the public dictionary: that a value has a
cell of its own tells nothing.
"""

import numpy as np
import pandas as pd


def counts(table: pd.DataFrame, columns: list[dict]) -> np.ndarray:
    """int64 of shape (columns, cells): each row counts every patient once. The last cell counts those without a value;
    columns of fewer values than others have zeros before it."""
    width = max(cells_of(column) for column in columns)
    return np.stack([_row(places(table, column), width) for column in columns])


def cells_of(column: dict) -> int:
    return len(column["values"]) if "values" in column else column["bins"]


def places(table: pd.DataFrame, column: dict) -> np.ndarray:
    """int64: the cell of each patient, -1 for none."""
    series = table[column["name"]]
    if "values" in column:
        return pd.Index(column["values"]).get_indexer(series.astype(object))
    share = (series.to_numpy(np.float64) - column["low"]) / (column["high"] - column["low"])
    missing = np.isnan(share)
    found = np.clip(np.where(missing, 0, share) * column["bins"], 0, column["bins"] - 1).astype(np.int64)
    return np.where(missing, -1, found)


def _row(place: np.ndarray, width: int) -> np.ndarray:
    return np.bincount(np.where(place < 0, width, place), minlength=width + 1).astype(np.int64)
