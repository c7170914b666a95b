"""Synthetic patients of all hospitals together, for a model's start: made of noisy counts, at no further cost.

anchor = wr.anchor(submission, dictionary)            # of an approved `PrivateMarginals`
anchor.tree                                           # what was seen to depend on what, through the noise
state = wr.pretrain(study, anchor)                    # the study's own code, on synthetic patients, on this machine
wr.begin_with(other, state)                           # another submission's rounds begin there
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from datasites.wire.dictionary import Column, Dictionary
from datasites.wire.images import layout
from datasites.wire.marginals import Binned, Marginals
from datasites.wire.statistics import STATISTICS
from policies.errors import InvalidInput
from researcher.asking import ask_once
from researcher.marginals import Edge, Fitted, fit
from researcher.participation import ApprovedStudy
from researcher.spread import Spread

_MOST_ROWS = 200_000
Codes = NDArray[np.int64]


@dataclass(frozen=True, repr=False)
class Anchor:
    """What hospitals answered, by address: counts with noise, in the order of `Marginals`. No row of it is a patient's:
    it is private as the counts are, whatever is made of it."""

    asked: Marginals
    dictionary: Dictionary = field(repr=False)
    rows: Mapping[str, NDArray[np.int64]] = field(repr=False)

    @cached_property
    def fitted(self) -> Fitted:
        """Of all hospitals together, each with the weight of its patients."""
        total = np.sum(list(self.rows.values()), axis=0)
        return fit(self.asked, total, self.asked.deviation * len(self.rows) ** 0.5)

    @property
    def size(self) -> int:
        """How many patients (or encounters, where several of one count) there are, by the counts."""
        return round(self.fitted.total)

    @property
    def tree(self) -> pd.DataFrame:
        """Which columns depend on which as far as the noise lets see, and how much (mutual information, in nats)."""
        names = self.asked.columns
        found = [(names[e.first], names[e.second], e.information) for e in self.fitted.edges]
        table = pd.DataFrame(found, columns=["column", "with", "information"])
        return table.sort_values("information", ascending=False, ignore_index=True)

    def shares(self, column: str) -> pd.Series[float]:
        """Of a column's cells, over all hospitals; by category, or by the range from and below which values are."""
        place = self.asked.columns.index(column)
        one = self.asked.inputs[place]
        return pd.Series(self.fitted.shares[place], index=_labels(one, self.dictionary.columns[column]), name="share")

    def sample(self, rows: int | None = None, seed: int = 0) -> pd.DataFrame:
        """Synthetic patients, one row each, in the terms of the dictionary; as many as there are, when left out.

        Within a cell, numbers spread as the dictionary expects them. A column that was not asked for has the value that
        is usual by the dictionary, in all rows.
        """
        size = min(self.size, _MOST_ROWS) if rows is None else rows
        if size < 1:
            raise InvalidInput("There must be at least one row.")
        rng = np.random.default_rng(seed)
        codes = _drawn(self.fitted, size, rng)
        made = {
            one.column: _values(codes[:, place], one, self.dictionary.columns[one.column], rng)
            for place, one in enumerate(self.asked.inputs)
        }
        usual = {name: _usual(column, size) for name, column in self.dictionary.columns.items() if name not in made}
        table = pd.DataFrame({**made, **usual})[list(self.dictionary.columns)]
        table.insert(0, self.dictionary.table.patient_key, [f"synthetic-{number}" for number in range(size)])
        return table

    def __repr__(self) -> str:
        return f"<Anchor: about {self.size:,} patients; columns {', '.join(self.asked.columns)}>"

    def _repr_html_(self) -> str:
        return f"<p>Counts of about {self.size:,} patients.</p>" + str(self.tree.round(4).to_html(index=False))


def anchor(submission: ApprovedStudy, dictionary: Dictionary, deadline: float = 600) -> Anchor:
    """The answers of the hospitals that have approved; those that are silent for `deadline` seconds are left out.

    dictionary: of the table, `federation.datasets(NAME)[0].dictionary`. Asked again, hospitals give the answer that
    they gave, and charge nothing. Raises InvalidInput for another kind of study or table, and RoundFailed, saying why,
    where nobody answers.
    """
    asked = submission.manifest.statistics
    if not isinstance(asked, Marginals):
        raise InvalidInput("This study does not ask for tables to make an anchor of.", "Submit a PrivateMarginals.")
    if dictionary.digest != submission.manifest.dictionary:
        raise InvalidInput("The study was approved on another dictionary.", "Give that of its own table.")
    answers = ask_once(submission, deadline)
    return Anchor(asked, dictionary, {h: np.asarray(told.arrays[STATISTICS], np.int64) for h, told in answers.items()})


def _drawn(fitted: Fitted, size: int, rng: np.random.Generator) -> Codes:
    """[size, columns]: each tree from its first column on, each column given the one that it hangs on."""
    codes: Codes = np.full((size, len(fitted.shares)), -1, np.int64)
    for place, share in enumerate(fitted.shares):
        if codes[0, place] < 0:
            codes[:, place] = rng.choice(len(share), size, p=share)
            for known, other, given in _outwards(place, fitted.edges):
                codes[:, other] = _given(given, codes[:, known], rng)
    return codes


def _outwards(root: int, edges: Iterable[Edge]) -> Iterable[tuple[int, int, NDArray[np.float64]]]:
    """The edges of a tree from its root: (the column that is known, the other, shares of the other's cells by cell of
    the known one)."""
    open_edges, reached = list(edges), [root]
    for known in reached:
        for edge in [e for e in open_edges if known in (e.first, e.second)]:
            open_edges.remove(edge)
            other = edge.second if known == edge.first else edge.first
            reached.append(other)
            yield known, other, edge.joint if known == edge.first else edge.joint.T


def _given(joint: NDArray[np.float64], known: Codes, rng: np.random.Generator) -> Codes:
    below = np.cumsum(joint, axis=1)[known]
    places = rng.random(len(known)) * below[:, -1]
    return np.asarray(np.minimum((places[:, None] >= below).sum(axis=1), joint.shape[1] - 1))


def _values(codes: Codes, one: Binned, column: Column, rng: np.random.Generator) -> pd.Series[Any]:
    """Values of the cells; a missing one is None or NaN."""
    missing = codes == one.cells - 1 if one.missing else np.zeros(len(codes), np.bool_)
    if one.categories:
        names = np.array([*one.categories, None], dtype=object)
        return pd.Series(names[np.where(missing, len(one.categories), codes)], dtype=object)
    low, high = column.bounds
    ends = np.array([low, *one.edges, high])
    first, last = ends[np.where(missing, 0, codes)], ends[np.where(missing, 0, codes) + 1]
    spread = Spread(column)
    shares = spread.shares(first) + rng.random(len(codes)) * (spread.shares(last) - spread.shares(first))
    values = np.clip(spread.quantiles(shares), first, last)
    if column.type != "number":  # those whole numbers that are in the cell
        values = np.clip(
            np.rint(values), np.ceil(first), np.maximum(np.ceil(first), np.where(last == high, high, np.ceil(last) - 1))
        )
    found = np.where(missing, np.nan, np.clip(values, low, high))
    if missing.any() or column.missing or column.type == "number":
        return pd.Series(found)
    return pd.Series(found.astype(np.int64))


def _usual(column: Column, size: int) -> pd.Series[Any]:
    if column.type == "image":  # grey all over
        image = layout(column)
        grey = column.typical[0] if column.typical else sum(column.bounds) / 2
        return pd.Series([np.full(image.pixels, round(grey), image.dtype).tobytes()] * size, dtype=object)
    if column.type == "category":
        return pd.Series([(column.categories or ("",))[0]] * size, dtype=object)
    low, high = column.bounds
    middle = column.typical[0] if column.typical else column.prior or low
    value = float(np.clip(middle, low, high))
    return pd.Series(np.full(size, value) if column.type == "number" else np.full(size, round(value), np.int64))


def _labels(one: Binned, column: Column) -> list[str]:
    low, high = column.bounds if not one.categories else (0.0, 0.0)
    ends = [low, *one.edges, high]
    ranges = [f"{first:g} to {last:g}" for first, last in pairwise(ends)]
    if one.categories:
        ranges = list(one.categories)
    elif column.type == "boolean":
        ranges = ["no", "yes"]
    return [*ranges, "missing"] if one.missing else ranges
