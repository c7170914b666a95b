"""The private tier's other request: counts and means with noise, and no model.

All of it is data, and each constant comes from the dictionary before anybody looks at a row.
"""

from __future__ import annotations

import math
from typing import Self

from pydantic import Field, model_validator

from datasites.wire.dictionary import Column, Dictionary
from datasites.wire.preparation import CategoryInput, NumberInput, TabularInput, input_problem
from datasites.wire.training import Encounters, Noise
from datasites.wire.values import Frozen
from policies.errors import InvalidInput
from policies.privacy.events import Event, Gaussian
from policies.request import STATISTICS

_FINENESS = 20  # steps to a sensitivity, as a power of two
__all__ = ["STATISTICS", "Statistics", "statistic_of"]


class Statistics(Frozen):
    """How many encounters there are; by column, the sum of a number and how often it is missing, or how many encounters
    a category has. Released once, as one row of numbers with Gaussian noise.

    encounters: the most of one patient that count, drawn at random; with 1, every patient counts once, and counts are
    of patients. noise_multiplier: the noise's standard deviation, in multiples of `sensitivity`.
    """

    inputs: tuple[TabularInput, ...] = Field(strict=False, min_length=1, max_length=200)
    encounters: Encounters = 1
    noise_multiplier: Noise

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        """What one encounter adds for a column has at most length 1: the sensitivity rests on this."""
        if len(set(self.columns)) < len(self.inputs):
            raise ValueError("a column is named twice")
        for one in self.inputs:
            if isinstance(one, CategoryInput):
                if one.encoding != "one-hot":
                    raise ValueError("categories are counted one-hot")
            elif (one.low, one.high, one.missing) != (-1.0, 1.0, None):
                raise ValueError("a number is summed from -1 to 1, and one that is missing counts as 0")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(one.column for one in self.inputs)

    @property
    def width(self) -> int:
        """How many numbers leave."""
        return 1 + sum(one.width for one in self.inputs)

    @property
    def sensitivity(self) -> float:
        """The most that one patient moves the row, in L2: `encounters` times, at most 1 by column and 1 for the count.

        A number that is there adds (x, 0) with |x| <= 1, one that is missing (0, 1); a category adds a single 1.
        """
        return self.encounters * math.sqrt(1 + len(self.inputs))

    @property
    def grid(self) -> float:
        """What sums are counted in, where noise is shared: steps of which a secure sum loses none."""
        return math.ldexp(1.0, math.floor(math.log2(self.sensitivity)) - _FINENESS)

    @property
    def deviation(self) -> float:
        """The noise's standard deviation in each number."""
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
        found = [input_problem(one, dictionary.columns[one.column]) for one in self.inputs]
        return [problem for problem in found if problem]


def statistic_of(column: Column) -> NumberInput | CategoryInput:
    """A number between its bounds, or every category, by the column's public dictionary entry.

    Raises InvalidInput for a number without bounds, whose sum no noise could cover, and for an image.
    """
    if column.type == "image":
        raise InvalidInput(f"{column.name!r} is an image, which cannot be counted or averaged.", "Leave it out.")
    if column.type == "category":
        return CategoryInput(column=column.name, categories=column.categories or ())
    low, high = column.bounds
    if not low < high:
        raise InvalidInput(f"{column.name!r} has one allowed value, so there is nothing to ask.", "Leave it out.")
    center, scale = (low + high) / 2, (high - low) / 2
    return NumberInput(column=column.name, center=center, scale=scale, low=-1.0, high=1.0, indicator=column.missing)
