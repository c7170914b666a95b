"""Pooling against what NumPy says of all values together."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from researcher.pooling import Cells, Moments, Pair, moments_of, pooled, pooled_correlation, quantile

RNG = np.random.default_rng(5)
PARTS = [RNG.multivariate_normal([mean, 2 * mean], [[4, 1.5], [1.5, 9]], size) for mean, size in ((3, 40), (9, 7))]
ALL = np.concatenate(PARTS)
EDGES = np.stack([np.arange(10.0), np.arange(1.0, 11.0)], axis=1)


def _moments(values: np.ndarray) -> Moments:
    return Moments(len(values), float(values.mean()), float(values.std(ddof=1)))


def test_mean_deviation_and_correlation_are_those_of_all_values() -> None:
    found = pooled(_moments(part[:, 0]) for part in PARTS)
    assert found
    assert (found.mean, found.deviation) == pytest.approx((ALL[:, 0].mean(), ALL[:, 0].std(ddof=1)), rel=1e-12)
    pairs = [Pair(_moments(p[:, 0]), _moments(p[:, 1]), float(np.corrcoef(p.T)[0, 1])) for p in PARTS]
    assert pooled_correlation(pairs) == pytest.approx(np.corrcoef(ALL.T)[0, 1], rel=1e-12)
    mean_of_correlations = np.mean([pair.correlation for pair in pairs])
    assert abs(mean_of_correlations - np.corrcoef(ALL.T)[0, 1]) > 0.1  # what pooling is for
    assert pooled([]) is None
    assert math.isnan(pooled_correlation([]))


def test_moments_of_counted_values_are_those_of_the_values() -> None:
    values = np.repeat([1.0, 2.0, 5.0], [3, 0, 4])
    all_told = Cells(np.array([3.0, 0, 4]), np.zeros(3, bool))
    assert moments_of(all_told, np.array([1.0, 2.0, 5.0])) == Moments(
        7, pytest.approx(values.mean()), pytest.approx(values.std(ddof=1))
    )
    assert moments_of(Cells(np.array([1.0, 0, 0]), np.zeros(3, bool)), np.array([1.0, 2.0, 5.0])) is None


def test_a_mean_with_few_withheld_is_as_near_as_it_says_and_with_many_untold() -> None:
    values, counts = np.arange(6.0), np.array([300.0, 200, 100, 40, 7, 4])
    hidden = np.array([False] * 4 + [True] * 2)
    found = moments_of(Cells(np.where(hidden, 0, counts), hidden, more=11.0), values)
    assert found
    assert 0 < abs(found.mean - counts @ values / counts.sum()) <= found.error < 0.02
    assert moments_of(Cells(np.where(hidden, 0, counts), hidden, more=200.0), values) is None


@pytest.mark.parametrize("q", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_a_quantile_lies_in_its_bin(q: float) -> None:
    values = np.sort(RNG.uniform(0, 10, 101) ** 2 / 10)
    counts = np.histogram(values, 10, (0, 10))[0].astype(float)
    value, low, high = quantile([Cells(counts, counts < 0)], EDGES, q)
    true = np.quantile(values, q, method="inverted_cdf")
    assert low <= true <= high
    assert low <= value <= high
    assert high - low == 1


def test_the_bounds_hold_whatever_withheld_cells_hold() -> None:
    """Every way in which eight patients may lie in the three cells that are withheld."""
    seen, hidden = np.array([3.0, 0, 5, 0, 4, 0, 0, 6, 0, 0]), np.isin(np.arange(10), [1, 3, 8])
    for q in (0.25, 0.5, 0.75):
        _, low, high = quantile([Cells(seen, hidden, more=8)], EDGES, q)
        for a, b in product(range(9), repeat=2):
            if a + b <= 8:
                counts = seen.copy()
                counts[[1, 3, 8]] = a, b, 8 - a - b
                cell = int(np.searchsorted(np.cumsum(counts), q * counts.sum()))
                assert low <= cell
                assert cell + 1 <= high


def test_nothing_told_is_no_quantile() -> None:
    assert all(math.isnan(one) for one in quantile([Cells(np.zeros(10), np.zeros(10, bool))], EDGES, 0.5))
