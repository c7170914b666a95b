"""What a study of statistics asks of each column: cells and bounds from the public dictionary, before anybody looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasites.wire.dictionary import Column, Dictionary
from policies.errors import InvalidInput

_MOST_VALUES = 100  # categories of a column that each get a cell; the standard policy lets out no wider table


@dataclass(frozen=True)
class Variable:
    """A column, counted value by value (`values`: the categories, or whole numbers) or in `bins` equal bins."""

    name: str
    values: tuple[str | int, ...] = ()
    low: float = 0.0
    high: float = 1.0
    bins: int = 0

    @property
    def cells(self) -> int:
        return len(self.values) or self.bins

    @property
    def boolean(self) -> bool:
        return self.values == (0, 1)

    @property
    def number(self) -> bool:
        """Whether it has a mean."""
        return not self.boolean and not any(isinstance(value, str) for value in self.values)

    @property
    def edges(self) -> NDArray[np.float64]:
        """Of a number, float64 of shape (cells, 2): the least and greatest value that falls into each cell."""
        if self.values:
            return np.repeat(np.array(self.values, np.float64)[:, None], 2, axis=1)
        edges = np.linspace(self.low, self.high, self.bins + 1)
        return np.stack([edges[:-1], edges[1:]], axis=1)

    @property
    def labels(self) -> list[str]:
        """A name for each cell."""
        if self.values:
            return [str(value) for value in self.values]
        return [f"{low:g} to {high:g}" for low, high in self.edges]

    def entry(self) -> dict[str, Any]:
        """As the study's configuration has it."""
        if self.values:
            return {"name": self.name, "values": list(self.values)}
        return {"name": self.name, "low": self.low, "high": self.high, "bins": self.bins}


def statistics_config(
    dictionary: Dictionary,
    columns: Sequence[str] | None = None,
    bins: int = 20,
    least: int = 20,
    everyone: str = "first",
    secure_aggregation: bool = False,
) -> dict[str, Any]:
    """The configuration of the ready study of statistics (notebooks/readmission/statistics), for `Study(config=...)`.

    columns: all of the dictionary's but images, when left out. bins: the most cells of a number; whole numbers of fewer
    values are counted value by value. least: the fewest patients behind a mean or a correlation; hospitals' policies
    have it as `min_cohort`. everyone: "first" counts each patient once, with the first row in the hospital's table;
    "rows", every row. Correlations are of numbers and booleans that the dictionary says are never missing. Raises
    InvalidInput.

    secure_aggregation: for a study whose hospitals show only their sum. Correlations are then of numbers counted in
    bins: an exact sum of a boolean would give a withheld count away.
    """
    if not 2 <= bins <= _MOST_VALUES or least < 1 or everyone not in ("first", "rows"):
        raise InvalidInput(f"Give 2 to {_MOST_VALUES} bins, a least of 1 or more, and everyone as 'first' or 'rows'.")
    countable = [column.name for column in dictionary.listed if column.type != "image"]
    names = list(countable if columns is None else columns)
    if unknown := [name for name in names if name not in dictionary.columns]:
        raise InvalidInput(f"The table has no column {', '.join(unknown)}.", "See the dataset's dictionary.")
    chosen = [dictionary.columns[name] for name in names]
    entries = [variable_of(column, bins).entry() for column in chosen]
    present = [column.name for column in chosen if column.type != "category" and not column.missing]
    binned = {entry["name"] for entry in entries if "bins" in entry}
    return {
        "columns": entries,
        "correlate": [name for name in present if name in binned or not secure_aggregation],
        "least": least,
        "everyone": everyone,
        **({"only_sums": True} if secure_aggregation else {}),
    }


def variable_of(column: Column, bins: int) -> Variable:
    """Raises InvalidInput for more categories than a table holds, and for an image."""
    if column.type == "image":
        raise InvalidInput(f"{column.name!r} is an image, which cannot be counted or averaged.", "Leave it out.")
    if column.type == "category":
        values = tuple(column.categories or ())
        if len(values) > _MOST_VALUES:
            raise InvalidInput(f"{column.name!r} has more than {_MOST_VALUES} categories.", "Leave it out.")
        return Variable(column.name, values)
    low, high = column.bounds
    if column.type == "number" and low < high:
        return Variable(column.name, (), low, high, bins)
    count = int(high) - int(low) + 1
    if count <= bins:
        return Variable(column.name, tuple(range(int(low), int(high) + 1)))
    width = -(-count // bins)
    needed = -(-count // width)
    return Variable(column.name, (), low, low + width * needed, needed)


def variables_of(config: Mapping[str, Any]) -> tuple[tuple[Variable, ...], tuple[str, ...]]:
    """(columns, those that are correlated) of a study's configuration. Raises InvalidInput for that of another one."""
    try:
        return tuple(_variable(entry) for entry in config["columns"]), tuple(config["correlate"])
    except (KeyError, TypeError, ValueError):
        raise InvalidInput("This study is not one of statistics.", "Make its config with statistics_config.") from None


def _variable(entry: Mapping[str, Any]) -> Variable:
    if "values" in entry:
        return Variable(entry["name"], tuple(entry["values"]))
    return Variable(entry["name"], (), float(entry["low"]), float(entry["high"]), int(entry["bins"]))
