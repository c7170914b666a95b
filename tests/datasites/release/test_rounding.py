"""What counts become: multiples of the base, without bias, and the same each time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasites.release.rounding import round_averages, round_counts, rounded
from datasites.release.terms import Cohort, Rules
from datasites.runner.replies import Outcome
from policies.sections import Release

KEY = bytes(32)
COUNTS = np.array([[1, 3, 0, 7, 2, 4, 5, 11, 1, 1], [0, 0, 1, 0, 0, 0, 0, 2, 0, 0]])


def keys(number: int) -> list[bytes]:
    return [index.to_bytes(32, "big") for index in range(number)]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), st.integers(2, 12), st.binary(min_size=32, max_size=32))
def test_each_becomes_the_multiple_below_or_above_and_so_does_every_run_of_cells(
    cells: list[int], base: int, key: bytes
) -> None:
    counts = np.array(cells)
    found = round_counts("table", counts, base, key)
    below = counts - counts % base
    assert ((found == below) | (found == below + base * (counts % base > 0))).all()
    off = np.abs(np.cumsum(found) - np.cumsum(counts))
    assert off.max() < 2 * base  # so no run of cells is off by more than that and the whole together
    assert off[-1] < base


def test_the_expectation_is_the_count() -> None:
    trials = np.stack([round_counts("table", COUNTS, 5, key) for key in keys(8000)]).astype(float)
    error = trials.mean(axis=0) - COUNTS
    assert np.abs(error).max() < 5 * 2.5 / np.sqrt(len(trials))  # five standard errors of the widest choice
    assert np.abs(trials.std(axis=0) ** 2 - (COUNTS % 5) * (5 - COUNTS % 5)).max() < 0.4


@pytest.mark.parametrize("shape", [(20,), (2, 10), (1, 2, 10), (0,), (2, 0)])
def test_any_shape(shape: tuple[int, ...]) -> None:
    counts = np.ones(shape, np.int32)
    found = round_counts("table", counts, 5, KEY)
    assert (found.shape, found.dtype) == (shape, np.int32)
    assert set(np.unique(found).tolist()) <= {0, 5}
    assert round_counts("table", np.array(3), 5, KEY).shape == ()
    assert np.array_equal(counts, np.ones(shape))


def test_a_base_of_one_lets_every_count_out() -> None:
    assert np.array_equal(round_counts("table", COUNTS, 1, KEY), COUNTS)


def test_the_same_table_is_rounded_the_same_way_and_others_not() -> None:
    counts = np.ones(500, np.int64)
    first = round_counts("table", counts, 5, KEY)
    assert np.array_equal(first, round_counts("table", counts.copy(), 5, KEY))
    others = [
        round_counts("other", counts, 5, KEY),
        round_counts("table", counts, 5, bytes(31) + b"\1"),
        round_counts("table", np.where(np.arange(500) == 499, 2, 1), 5, KEY),
    ]
    assert all((first != other).mean() > 0.2 for other in others)


def test_a_pooled_auc_stays_where_it_was() -> None:
    """Hundreds of cells of one or two positives, as a small hospital has them."""
    rng = np.random.default_rng(3)
    positives = np.bincount(np.clip(rng.normal(560, 150, 800), 0, 999).astype(int), minlength=1000)
    negatives = np.bincount(np.clip(rng.normal(500, 150, 6000), 0, 999).astype(int), minlength=1000)

    def auc(table: np.ndarray) -> float:
        low, high = table.astype(float)
        return float((high * (np.cumsum(low) - low / 2)).sum() / low.sum() / high.sum())

    table = np.stack([negatives, positives])
    errors = [auc(round_counts("score_histogram", table, 5, key)) - auc(table) for key in keys(40)]
    assert abs(np.mean(errors)) < 0.001
    assert np.std(errors) < 0.0015


def test_metrics_and_averages_get_the_policys_decimals_and_the_model_stays() -> None:
    release = Release(
        metrics=("loss",), arrays={"curve": (2,)}, min_cohort=1, min_cell=5, decimals=3, secure_aggregation=False
    )
    cohort = Cohort(rows=9, patients=9)
    rules = Rules(
        release=release, bytes_per_round=1, kept_bytes=0, min_patients=1, cohort=cohort, rounding_key="0" * 64
    )
    model, curve = {"w": np.array([0.123456])}, {"curve": np.array([0.98765432, -1e-9], np.float32)}
    found = rounded(Outcome(model, 3, {"loss": -1e-9, "auc": 2 / 3}, curve), rules)
    assert found.parameters["w"].tolist() == [0.123456]
    assert str(found.metrics) == "{'loss': 0.0, 'auc': 0.667}"  # 0.0 and not -0.0
    assert found.arrays["curve"].dtype == np.float32
    assert found.arrays["curve"].tolist() == pytest.approx([0.988, 0])
    assert not np.signbit(found.arrays["curve"][1])
    hidden = rules.model_copy(update={"release": release.model_copy(update={"hide_counts": True})})
    assert (found.num_examples, rounded(Outcome(model, 3, {}, {}), hidden).num_examples) == (3, 1)
    assert round_averages(np.array([60000, 0.5], np.float16), 4).tolist() == [60000, 0.5]
