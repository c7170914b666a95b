"""How columns become a model's inputs, the same at every hospital, without asking a hospital for anything.

Ranges and categories are in the public dictionary; means, deviations and what stands for missing values may come from
statistics that hospitals have approved and released before. The constants go into a study's configuration, and are
approved with it.

prepared = wr.Preprocessing.from_statistics(wr.statistics(submission))
study = wr.Study(..., config={"preprocessing": prepared.config})       # for prepare.py in the study's folder
study = wr.PrivateStudy(..., inputs=prepared.inputs)                   # or in the private tier
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import pandas as pd

from datasites.wire.dictionary import Dictionary
from datasites.wire.preparation import CategoryInput, ImageInput, NumberInput, standard_inputs
from datasites.wire.preparation import TabularInput as Input
from datasites.wire.shown import heading, table
from policies.errors import InvalidInput
from researcher.federated_statistics import OVERALL, Statistics
from researcher.private_statistics import Counts
from researcher.variables import Variable


@dataclass(frozen=True, repr=False)
class Preprocessing:
    """Fitted: `inputs` from left to right. Names are scikit-learn's where it has them."""

    inputs: tuple[Input, ...]

    @classmethod
    def from_dictionary(cls, dictionary: Dictionary, columns: Sequence[str] | None = None) -> Self:
        """By `typical` or the range, and the categories, of the dictionary alone; all but its target and
        images when left out."""
        others = [c.name for c in dictionary.listed if c.name != dictionary.table.target and c.type != "image"]
        try:
            inputs = standard_inputs(dictionary, others if columns is None else columns)
        except KeyError as unknown:
            raise InvalidInput(f"The table has no column {unknown.args[0]}.", "See the dataset's dictionary.") from None
        plain = tuple(one for one in inputs if not isinstance(one, ImageInput))
        if len(plain) < len(inputs):
            raise InvalidInput("An image is prepared by the study's own code.", "Leave its column out here.")
        return cls(plain)

    @classmethod
    def from_statistics(
        cls,
        found: Statistics | Counts,
        columns: Sequence[str] | None = None,
        strategy: Literal["mean", "median"] = "mean",
    ) -> Self:
        """By the pooled mean and standard deviation of numbers; what is missing becomes the mean (or median), with an
        input that says so. Booleans stay 0 and 1; categories get an input each.

        Of private `Counts` only means are had: the scale is half the dictionary's range. columns: all that were asked
        for, when left out; leave out what the model is to predict. Raises InvalidInput where no hospital tells a mean.
        """
        if strategy not in ("mean", "median"):
            raise InvalidInput(f"{strategy!r} cannot stand for what is missing.", "Use 'mean' or 'median'.")
        inputs = dict(_private(found) if isinstance(found, Counts) else _plain(found, strategy, columns))
        chosen = list(inputs) if columns is None else columns
        if unknown := [name for name in chosen if name not in inputs]:
            raise InvalidInput(f"{', '.join(unknown)} was not asked for.", "See the statistics' columns.")
        return cls(tuple(inputs[name] for name in chosen))

    def __repr__(self) -> str:
        return f"<Preprocessing: {', '.join(one.column for one in self.inputs)}>"

    def _repr_html_(self) -> str:
        rows = []
        for one in self.inputs:
            told = one.model_dump(exclude={"column"}, exclude_none=True)
            rows.append((one.column, ", ".join(f"{name} {value}" for name, value in told.items())))
        return heading("Preprocessing", "by constants that each hospital applies alike") + table(
            ["column", "how"], rows
        )

    @property
    def config(self) -> list[dict[str, Any]]:
        """JSON values for a study's configuration."""
        return [one.model_dump(mode="json") for one in self.inputs]

    @property
    def mean_(self) -> pd.Series[float]:
        """What is taken from each number."""
        return pd.Series({one.column: one.center for one in self._numbers}, dtype=float)

    @property
    def scale_(self) -> pd.Series[float]:
        """What each number is then divided by."""
        return pd.Series({one.column: one.scale for one in self._numbers}, dtype=float)

    @property
    def statistics_(self) -> pd.Series[float]:
        """What stands for a missing value, in the column's own unit, as in `SimpleImputer`."""
        return pd.Series(
            {one.column: one.center if one.missing is None else one.missing for one in self._numbers}, dtype=float
        )

    @property
    def categories_(self) -> Mapping[str, tuple[str, ...]]:
        """Of each column that has some."""
        return {one.column: one.categories for one in self.inputs if isinstance(one, CategoryInput)}

    def get_feature_names_out(self) -> list[str]:
        """One a model's input."""
        return [name for one in self.inputs for name in _names(one)]

    @property
    def _numbers(self) -> list[NumberInput]:
        return [one for one in self.inputs if isinstance(one, NumberInput)]


def _names(one: Input) -> list[str]:
    if isinstance(one, NumberInput):
        return [one.column, f"{one.column}_missing"] if one.indicator else [one.column]
    if one.encoding == "index":
        return [one.column]
    return [f"{one.column}_{category}" for category in one.categories]


def _plain(found: Statistics, strategy: str, columns: Sequence[str] | None) -> Iterator[tuple[str, Input]]:
    for row, variable in enumerate(found.variables):
        if columns is None or variable.name in columns:
            absent = any(seen.missing(row) for seen in found.hospitals.values())  # or withheld
            yield variable.name, _input(found, variable, strategy, absent)


def _input(found: Statistics, variable: Variable, strategy: str, absent: bool) -> Input:
    name = variable.name
    if not variable.number and not variable.boolean:
        return CategoryInput(column=name, categories=tuple(map(str, variable.values)))
    moments = found.moments(name).loc[OVERALL]
    if pd.isna(moments["mean"]):
        if variable.boolean:  # its share may be withheld, and need not be known
            return NumberInput(column=name, missing=0.5, indicator=absent)
        raise InvalidInput(
            f"No hospital tells the mean of {name!r}.", "Take this column from the dictionary: from_dictionary."
        )
    mean = float(moments["mean"])
    stand_in = mean if strategy == "mean" else float(found.quantile(name, 0.5).loc[OVERALL, "value"])
    if variable.boolean:
        return NumberInput(column=name, missing=stand_in, indicator=absent)
    return NumberInput(column=name, center=mean, scale=float(moments["sd"]) or 1.0, missing=stand_in, indicator=absent)


def _private(found: Counts) -> Iterator[tuple[str, Input]]:
    table = found.table()
    means = table[(table["what"] == "mean") & (table["hospital"] == table["hospital"].iloc[-1])]
    values = dict(zip(means["column"], means["value"], strict=True))
    for one in found.statistics.inputs:
        if isinstance(one, CategoryInput):
            yield one.column, one
        else:
            mean = values[one.column]
            center: float = one.center if pd.isna(mean) else float(mean)
            yield one.column, NumberInput(column=one.column, center=center, scale=one.scale, indicator=one.indicator)
