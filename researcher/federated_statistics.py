"""Who the patients of several hospitals are: counts, means, quantiles, correlations and a Table 1.

config = wr.statistics_config(federation.datasets("readmissions")[0].dictionary)
asked = wr.Study("table-one", "Who is there?", "notebooks/readmission/statistics", "readmissions", 1, config)
submission = federation.submit(asked, federation.rehearse(asked))
found = wr.statistics(submission)                     # once the hospitals have approved
found.table_one()
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from datasites.wire.marginals import Marginals
from policies.errors import InvalidInput
from researcher.added_statistics import added_of
from researcher.asking import ask_once
from researcher.participation import ApprovedStudy
from researcher.pooling import Moments, Pair, pooled, pooled_correlation, quantile
from researcher.private_statistics import Counts, private_counts
from researcher.secagg.exchange import SUM
from researcher.secagg.summed import COUNTS, PRODUCTS, SUMS
from researcher.seen import Seen
from researcher.table_one import table_one
from researcher.variables import Variable, variables_of

OVERALL = "overall"
_MOMENTS, _CORRELATIONS = "statistics_moments", "statistics_correlations"


@dataclass(frozen=True)
class Statistics:
    """What hospitals answered, by their names, and what follows of all patients together ("overall").

    Means, deviations and correlations are exact up to the decimals of the hospitals' policies where they count in bins
    and no value is missing; otherwise they are off by as much as the counts are by the hospitals' rounding. Overall
    figures are of those hospitals that tell theirs. Of hospitals that show their sum alone there is "overall" and no
    other; see docs/statistics.md.
    """

    variables: tuple[Variable, ...] = field(repr=False)
    correlated: tuple[str, ...] = field(repr=False)
    hospitals: Mapping[str, Seen]

    def __repr__(self) -> str:
        named = ", ".join(variable.name for variable in self.variables)
        return f"<Statistics: {named}; of {', '.join(self.hospitals)}>"

    def table_one(self) -> pd.DataFrame:
        """Rows: patients, and for each variable n (%), mean (SD) and median [IQR], and how many are missing. Columns:
        hospitals, and all together. "<20" is a count that is withheld as smaller, "withheld" one that covers such."""
        return table_one(self)

    def histogram(self, column: str) -> pd.DataFrame:
        """Counts by value or bin, one column a hospital and one for all; empty where withheld."""
        row, variable = self._find(column)
        cells = {name: seen.cells(row, variable) for name, seen in self.hospitals.items()}
        told = {name: np.where(one.hidden, np.nan, one.counts) for name, one in cells.items()}
        table = pd.DataFrame(told, index=pd.Index(variable.labels, name=column))
        return table.assign(**{OVERALL: table.sum(axis=1, skipna=False)}).astype("Int64")

    def moments(self, column: str) -> pd.DataFrame:
        """One row a hospital and one for all that tell theirs: count (of values), mean, sd, and `error`, the most that
        the mean may be off because of withheld counts. Empty where it is not told."""
        found = {**self._moments(column), OVERALL: pooled(filter(None, self._moments(column).values()))}
        rows = {name: astuple(one) if one else (math.nan,) * 4 for name, one in found.items()}
        return pd.DataFrame.from_dict(rows, orient="index", columns=["count", "mean", "sd", "error"])

    def quantile(self, column: str, q: float) -> pd.DataFrame:
        """One row a hospital and one for all: the value that a share of `q` do not exceed, and the bounds `low` and
        `high` that it lies between whatever was withheld or rounded. It is interpolated in its bin."""
        row, variable = self._find(column)
        if not 0 <= q <= 1 or not (variable.number or variable.boolean):
            raise InvalidInput("A quantile is of a number, at a share from 0 to 1.", "The median is at 0.5.")
        parts = {name: [seen.cells(row, variable)] for name, seen in self.hospitals.items()}
        parts[OVERALL] = [part for (part,) in parts.values()]
        rows = {name: quantile(part, variable.edges, q) for name, part in parts.items()}
        return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high"])

    def missing(self) -> pd.DataFrame:
        """Share of patients without a value, one row a variable; empty where it is withheld."""
        shares = {}
        for name, seen in self.hospitals.items():
            shares[name] = seen.without()
        table = pd.DataFrame(shares, index=[variable.name for variable in self.variables])
        weights = np.array([seen.patients for seen in self.hospitals.values()])
        return table.assign(**{OVERALL: table.to_numpy() @ weights / weights.sum()})

    def correlation(self, hospital: str | None = None, partial: bool = False) -> pd.DataFrame:
        """Pearson's, at one hospital or over all patients; empty where it is not told. partial: over the patients of
        those hospitals that tell it, where not all do; these may be few, and differ from the others."""
        if hospital is not None and hospital not in self.hospitals:
            raise InvalidInput(f"{hospital!r} has not answered.", f"These have: {', '.join(self.hospitals)}.")
        chosen = list(self.hospitals.values()) if hospital is None else [self.hospitals[hospital]]
        found = pd.DataFrame(np.nan, index=list(self.correlated), columns=list(self.correlated))
        for i, j in combinations(range(len(self.correlated)), 2):
            pairs = self._pairs(chosen, i, j)
            if partial or len(pairs) == len(chosen):
                found.iloc[i, j] = found.iloc[j, i] = pooled_correlation(pairs)
        values = found.to_numpy(copy=True)
        np.fill_diagonal(values, np.where(np.isnan(values).all(axis=0) & (len(values) > 1), np.nan, 1.0))
        return pd.DataFrame(values, found.index, found.columns)

    def _pairs(self, chosen: Sequence[Seen], i: int, j: int) -> list[Pair]:
        (one, first), (other, second) = (self._find(self.correlated[at]) for at in (i, j))
        found = [seen.pair((i, j), (one, other), (first, second)) for seen in chosen]
        return [pair for pair in found if pair]

    def _moments(self, column: str) -> dict[str, Moments | None]:
        row, variable = self._find(column)
        return {name: seen.moments_of(row, variable) for name, seen in self.hospitals.items()}

    def _find(self, column: str) -> tuple[int, Variable]:
        for row, variable in enumerate(self.variables):
            if variable.name == column:
                return row, variable
        raise InvalidInput(f"{column!r} was not asked for.", "See the study's columns.")

    def _repr_html_(self) -> str:
        return str(self.table_one().to_html())


def statistics(submission: ApprovedStudy, deadline: float = 600) -> Statistics | Counts:
    """The answers of the hospitals that have approved; those that are silent for `deadline` seconds are left out.

    Of a `PrivateStatistics` it gives the noisy `Counts`, which have a Table 1 too. Asked again, hospitals give the
    answer that they gave. Raises InvalidInput for another kind of study, and RoundFailed, saying why, where nobody
    answers.
    """
    manifest = submission.manifest
    if manifest.statistics is not None and not isinstance(manifest.statistics, Marginals):
        return private_counts(submission, manifest.statistics, deadline)
    asked = {COUNTS, SUMS, PRODUCTS} if manifest.secure_aggregation else {COUNTS, _MOMENTS, _CORRELATIONS}
    if manifest.asked is not None or not asked <= manifest.outputs.evaluate_arrays.keys():
        raise InvalidInput("This study is not one of statistics.", "Run it with Rounds.")
    variables, correlated = variables_of(manifest.config)
    answers = ask_once(submission, deadline)
    if SUM in answers:
        return Statistics(variables, correlated, {OVERALL: added_of(answers[SUM])})
    seen = {submission.label(hospital): seen_of(one.examples, one.arrays) for hospital, one in answers.items()}
    return Statistics(variables, correlated, seen)


def seen_of(examples: int, arrays: Mapping[str, NDArray[np.generic]]) -> Seen:
    """Where a hospital's policy does not tell how many patients count, which then is 1, its fullest row does."""
    counts = np.asarray(arrays[COUNTS], np.int64)
    patients = examples if examples > 1 else max(1, int(np.where(counts > 0, counts, 0).sum(axis=1).max()))
    moments, correlations = (np.asarray(arrays[name], np.float64) for name in (_MOMENTS, _CORRELATIONS))
    return Seen(patients, counts, moments, correlations)
