"""The private tier's third request: how patients spread over the cells of columns, and of pairs of columns, with noise.

From such tables a researcher makes synthetic patients (`researcher.anchors`). Where cells begin and end is public: it
is fixed before anybody looks at a row.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from datasites.wire.dictionary import Column, Dictionary
from datasites.wire.dictionary_rules import MAX_CATEGORIES
from datasites.wire.training import Encounters, Noise
from datasites.wire.values import Frozen, Identifier, Real
from policies.privacy.events import Event, Gaussian

MOST_CELLS = 2_000  # of all columns: the hospital counts all pairs of them at once


class Binned(Frozen):
    """One column's cells: a category's categories, or those that `edges` cut a number's range into, from low to high
    (a value on an edge is above it); and a last one for missing values, where there may be some."""

    column: Identifier
    edges: tuple[Real, ...] = Field(default=(), strict=False, max_length=1_000)
    categories: tuple[Annotated[str, Field(max_length=2_000)], ...] = Field(
        default=(), strict=False, max_length=MAX_CATEGORIES
    )
    missing: bool = False

    @model_validator(mode="after")
    def _cut(self) -> Self:
        if bool(self.edges) == bool(self.categories):
            raise ValueError("a column is cut by edges, or has categories")
        if any(low >= high for low, high in pairwise(self.edges)):
            raise ValueError("the edges must ascend")
        return self

    @property
    def cells(self) -> int:
        return (len(self.categories) or len(self.edges) + 1) + self.missing


class Marginals(Frozen):
    """Released once, as one row of counts with Gaussian noise: of each column's cells; then of each pair of columns', a
    table row by row, for all pairs or, with `around`, for those that this column is one of.

    encounters: the most of one patient that count, drawn at random; with 1, counts are of patients. noise_multiplier:
    the noise's standard deviation, in multiples of `sensitivity`.
    """

    inputs: tuple[Binned, ...] = Field(strict=False, min_length=2, max_length=200)
    around: Identifier | None = None
    encounters: Encounters = 1
    noise_multiplier: Noise

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if len(set(self.columns)) < len(self.inputs):
            raise ValueError("a column is named twice")
        if self.around is not None and self.around not in self.columns:
            raise ValueError("the column that pairs are made around is not among the columns")
        if sum(one.cells for one in self.inputs) > MOST_CELLS:
            raise ValueError(f"the columns have more than {MOST_CELLS:,} cells")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(one.column for one in self.inputs)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Places of columns in `inputs`, the first before the second."""
        there = [(i, j) for j in range(len(self.inputs)) for i in range(j)]
        return [pair for pair in there if self.around in (None, *(self.columns[i] for i in pair))]

    @property
    def width(self) -> int:
        """How many numbers leave."""
        cells = [one.cells for one in self.inputs]
        return sum(cells) + sum(cells[i] * cells[j] for i, j in self.pairs)

    @property
    def sensitivity(self) -> float:
        """The most that one patient moves the row, in L2: each encounter adds a single 1 to each table."""
        return self.encounters * math.sqrt(len(self.inputs) + len(self.pairs))

    @property
    def deviation(self) -> float:
        """The noise's standard deviation in each count."""
        return self.noise_multiplier * self.sensitivity

    @property
    def event(self) -> Event:
        """What it is in the ledger, by patient."""
        return Gaussian(self.noise_multiplier)

    def events(self, fit: bool, evaluate: bool) -> tuple[Event, ...]:
        """What a message that asks for this releases; one that asks for training is refused, as it has no event."""
        return (self.event,) if evaluate and not fit else ()

    def plan(self, rounds: int) -> tuple[Event, ...]:
        """The whole study's: it is answered once, whatever `rounds` is."""
        return (self.event,)

    def problems(self, dictionary: Dictionary) -> list[str]:
        """Every way in which it does not fit a table, as sentences."""
        unknown = [name for name in self.columns if name not in dictionary.columns]
        if unknown:
            return [f"The table has no column {', '.join(unknown)}."]
        found = [_problem(one, dictionary.columns[one.column]) for one in self.inputs]
        return [problem for problem in found if problem]


def _problem(one: Binned, column: Column) -> str | None:
    if column.type == "image":
        return f"{column.name!r} is an image, which has no cells to count."
    if one.categories != (column.categories or ()):
        return f"{column.name!r} has other categories than the dictionary says; list all of them in its order."
    if one.missing != column.missing:
        return f"{column.name!r} {'may' if column.missing else 'cannot'} be missing, by the dictionary."
    return None
