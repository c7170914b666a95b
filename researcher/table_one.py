"""The table that most clinical papers begin with: who the patients are, hospital by hospital and all together."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from researcher.pooling import Moments, pooled

if TYPE_CHECKING:
    from researcher.federated_statistics import Statistics
    from researcher.seen import Seen
    from researcher.variables import Variable

WITHHELD = "withheld"
_OVERALL = "overall"
Row = tuple[str, str, dict[str, str]]  # variable, what is told of it, text by hospital


def table_one(found: Statistics) -> pd.DataFrame:
    """See `Statistics.table_one`."""
    patients = {name: seen.patients for name, seen in found.hospitals.items()}
    rows: list[Row] = [("patients", "n", {n: f"{count:,}" for n, count in {**patients, **_sum(patients)}.items()})]
    for row, variable in enumerate(found.variables):
        rows += _numbers(found, variable) if variable.number else _counts(found, row, variable)
        if any(seen.missing(row) for seen in found.hospitals.values()):
            rows.append((variable.name, "missing, n (%)", _shares(found.hospitals, row, -1, of_all=True)))
    index = pd.MultiIndex.from_tuples([(name, what) for name, what, _ in rows], names=["variable", "told"])
    return pd.DataFrame([cells for _, _, cells in rows], index=index)


def _sum(patients: Mapping[str, int]) -> dict[str, int]:
    return {_OVERALL: sum(patients.values())}


def _numbers(found: Statistics, variable: Variable) -> Iterator[Row]:
    row = found.variables.index(variable)
    each = {name: seen.moments_of(row, variable) for name, seen in found.hospitals.items()}
    told = [one for one in each.values() if one]
    cells = {name: _mean(one, variable) for name, one in each.items()}
    few = "" if len(told) == len(each) or not told else f" ({len(told)} of {len(each)} hospitals)"
    yield variable.name, "mean (SD)", {**cells, _OVERALL: _mean(pooled(told), variable) + few}
    quantiles = [found.quantile(variable.name, q) for q in (0.5, 0.25, 0.75)]
    rows = [one.to_dict(orient="index") for one in quantiles]
    medians = {name: _median([one[name] for one in rows], variable) for name in (*each, _OVERALL)}
    yield variable.name, "median [IQR]", medians


def _counts(found: Statistics, row: int, variable: Variable) -> Iterator[Row]:
    if variable.boolean:
        yield variable.name, "n (%)", _shares(found.hospitals, row, 1)
        return
    for cell, label in enumerate(variable.labels):
        yield f"{variable.name}: {label}", "n (%)", _shares(found.hospitals, row, cell)


def _shares(hospitals: Mapping[str, Seen], row: int, cell: int, of_all: bool = False) -> dict[str, str]:
    """A count by hospital, with its share of those that have a value (or of all), and the sum."""
    bounds = {name: seen.bounds(row, cell) for name, seen in hospitals.items()}
    totals = {name: seen.patients if of_all else seen.present(row) for name, seen in hospitals.items()}
    cells = {name: _share(*bounds[name], totals[name]) for name in hospitals}
    return {**cells, _OVERALL: _between(list(bounds.values()), sum(totals.values()))}


def _share(least: int, most: int | None, total: int) -> str:
    if most is None:
        return f"at least {least:,}" if least else WITHHELD
    if least < most:
        return f"<{most + 1}"
    return f"{least:,} ({100 * min(1.0, least / total):.1f})" if total else f"{least:,}"


def _between(bounds: list[tuple[int, int | None]], total: int) -> str:
    """A sum, or what it lies between where some of its parts are withheld."""
    least, most = sum(low for low, _ in bounds), [high for _, high in bounds if high is not None]
    if len(most) < len(bounds):
        return _share(least, None, total)
    return f"{least:,} to {sum(most):,}" if least < sum(most) else _share(least, least, total)


def _mean(one: Moments | None, variable: Variable) -> str:
    if one is None:
        return WITHHELD
    about = "about " if one.error else ""
    return f"{about}{_text(one.mean, variable)} ({_text(one.deviation, variable)})"


def _median(quantiles: list[dict[Hashable, float]], variable: Variable) -> str:
    """Quartiles that lie in one bin tell no more than the bin: most patients may have its lowest value. "about" where
    withheld or rounded counts leave more than one cell for any of them."""
    if any(math.isnan(one["value"]) for one in quantiles):
        return WITHHELD
    middle, low, high = (_text(one["value"], variable) for one in quantiles)
    _, first, last = quantiles
    if not variable.values and (first["low"], first["high"]) == (last["low"], last["high"]):
        return f"{_text(first['low'], variable)} to {_text(first['high'], variable)}"
    cell = float((variable.edges[:, 1] - variable.edges[:, 0]).max()) * (1 + 1e-9)
    about = "about " if any(one["high"] - one["low"] > cell for one in quantiles) else ""
    return f"{about}{middle} [{low}, {high}]"


def _text(value: float, variable: Variable) -> str:
    """With as many decimals as the column's range gives sense to."""
    low, high = variable.edges[0, 0], variable.edges[-1, 1]
    return f"{value:.{1 if high - low > 10 else 2}f}"
