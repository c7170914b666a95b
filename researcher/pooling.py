"""Statistics of all patients together from those of each hospital, without any patient's value.

Means, variances and correlations are exact: the update of Chan, Golub and LeVeque (The American Statistician 37, 1983)
adds the spread between hospitals to that within them. Quantiles come from counts in bins, with the bounds they hold in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_TELLING = 0.1  # of a standard deviation: a mean that may be further off tells too little


@dataclass(frozen=True)
class Moments:
    """Of `count` values; `deviation` is of the sample (ddof=1). `error`: the most that the mean may be off, because of
    counts that are withheld."""

    count: float
    mean: float
    deviation: float
    error: float = 0.0


@dataclass(frozen=True)
class Pair:
    """Two columns over the same patients of one hospital, and their Pearson correlation there."""

    one: Moments
    other: Moments
    correlation: float


@dataclass(frozen=True)
class Cells:
    """How many patients each cell of a number's values holds, as far as it is told.

    hidden: which cells are withheld, in part or as a whole. more: the most patients that these may hold besides, all
    together. slack: by how much any run of cells may be off, by rounding.
    """

    counts: Floats
    hidden: NDArray[np.bool_]
    more: float = 0.0
    slack: float = 0.0


def pooled(parts: Iterable[Moments]) -> Moments | None:
    """None of nobody."""
    told = [one for one in parts if one.count > 0]
    if not told:
        return None
    count = sum(one.count for one in told)
    mean = sum(one.count * one.mean for one in told) / count
    within = sum((one.count - 1) * one.deviation**2 for one in told)
    between = sum(one.count * (one.mean - mean) ** 2 for one in told)
    deviation = ((within + between) / (count - 1)) ** 0.5 if count > 1 else float("nan")
    return Moments(count, mean, deviation, sum(one.count * one.error for one in told) / count)


def pooled_correlation(pairs: Sequence[Pair]) -> float:
    """NaN of nobody, and where a column has no spread."""
    one, other = pooled(pair.one for pair in pairs), pooled(pair.other for pair in pairs)
    if one is None or other is None or not one.deviation * other.deviation > 0:
        return float("nan")
    product = 0.0
    for pair in pairs:
        within = pair.correlation * pair.one.deviation * pair.other.deviation
        product += (pair.one.count - 1) * within
        product += pair.one.count * (pair.one.mean - one.mean) * (pair.other.mean - other.mean)
    return float(np.clip(product / (one.count - 1) / one.deviation / other.deviation, -1, 1))


def moments_of(cells: Cells, values: Floats) -> Moments | None:
    """Of values that are counted one by one, of shape (cells,); what is withheld is spread evenly over its cells.

    None of fewer than two, and where that may move the mean by more than a tenth of the standard deviation.
    """
    counts = _likely(cells)
    count = float(counts.sum())
    if count < 2:
        return None
    mean = float(counts @ values) / count
    deviation = float((counts @ (values - mean) ** 2) / (count - 1)) ** 0.5
    withheld = values[cells.hidden]
    error = cells.more * float(np.ptp(withheld)) / count if len(withheld) else 0.0
    return Moments(count, mean, deviation, error) if error <= _TELLING * deviation else None


def quantile(parts: Sequence[Cells], edges: Floats, q: float) -> tuple[float, float, float]:
    """(value, low, high): the smallest value with a share of `q` at or below it, interpolated in its cell, and bounds
    between which it lies whatever the withheld cells hold and however counts were rounded. NaN where nothing is told.

    edges: of shape (cells, 2), see `Variable.edges`.
    """
    seen = sum((part.counts for part in parts), np.zeros(len(edges)))
    likely = sum((_likely(part) for part in parts), np.zeros(len(edges)))
    if likely.sum() <= 0:
        return (float("nan"),) * 3
    most = np.cumsum(seen) + sum(part.more * (np.cumsum(part.hidden) > 0) for part in parts)
    least, slack = np.cumsum(seen), sum(part.slack for part in parts)
    total = seen.sum(), seen.sum() + sum(part.more for part in parts)
    low = _first(most + slack >= q * (total[0] - slack))
    high = _first(least - slack >= q * (total[1] + slack))
    return _inside(likely, edges, q), float(edges[low, 0]), float(edges[high, 1])


def _likely(part: Cells) -> Floats:
    """What is withheld, spread evenly."""
    return part.counts + np.where(part.hidden, part.more / max(1, int(part.hidden.sum())), 0.0)


def _first(reached: NDArray[np.bool_]) -> int:
    found = np.flatnonzero(reached)
    return int(found[0]) if len(found) else len(reached) - 1


def _inside(counts: Floats, edges: Floats, q: float) -> float:
    sums = np.cumsum(counts)
    rank = q * sums[-1]
    cell = _first((sums >= rank) & (counts > 0))
    share = (rank - (sums[cell] - counts[cell])) / counts[cell]
    return float(edges[cell, 0] + np.clip(share, 0, 1) * (edges[cell, 1] - edges[cell, 0]))
