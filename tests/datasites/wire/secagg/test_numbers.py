"""What hospitals add up: sums and means are right, to the step, at the largest numbers that terms allow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasites.wire.outputs import ArraySpec, OutputContract
from datasites.wire.secagg.numbers import Part, read, size, written
from datasites.wire.secagg.terms import SecureAggregation
from policies.errors import InvalidInput

CONTRACT = OutputContract(
    parameters={
        "w": ArraySpec(shape=(3, 2), dtype="float32"),
        "d": ArraySpec(shape=(), dtype="float64"),
        "n": ArraySpec(shape=(), dtype="int64"),
        "b": ArraySpec(shape=(2,), dtype="bool"),
    },
    fit_metrics=("loss",),
    evaluate_metrics=("auc", "brier"),
    evaluate_arrays={"score_histogram": ArraySpec(shape=(2, 3), dtype="int64")},
)
SENT = {"w": np.ones((3, 2), np.float32), "d": np.array(0.5), "n": np.array(4), "b": np.array([True, False])}


def terms(count: int, **options: Any) -> SecureAggregation:
    prints = {f"do@h{i:03d}.org": " ".join(f"{i:04x}" for _ in range(8)) for i in range(count)}
    return SecureAggregation(hospitals=prints, **options)


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 8), st.integers(0, 2**32), st.integers(1, 2**40), st.sampled_from([1.0, 256.0, 1024.0]))
def test_the_mean_is_that_of_all_patients_to_the_step(count: int, seed: int, most: int, limit: float) -> None:
    try:
        asked = terms(count, most_examples=most, limit=limit)
    except ValueError:
        return  # too few bits are left, and it says so
    rng = np.random.default_rng(seed)
    n = rng.integers(1, most, count, endpoint=True)
    n[0] = most
    changes = rng.uniform(-limit, limit, (count, 6))
    changes[0] = limit
    parts = [
        Part(
            int(n[i]),
            {"loss": float(changes[i, 0])},
            {
                "w": SENT["w"],
                "d": SENT["d"] + changes[i, 1],
                "n": SENT["n"] + 1,
                "b": np.array([True, i % 2 == 0]),
            },
        )
        for i in range(count)
    ]
    tested = [
        Part(int(n[i]), {"auc": 0.25} if i else {}, {"score_histogram": np.full((2, 3), i)}) for i in range(count)
    ]
    total = np.sum([written(CONTRACT, asked, SENT, f, e) for f, e in zip(parts, tested, strict=True)], axis=0)
    assert len(total) == size(CONTRACT, asked, True, True)
    fitted, evaluated = read(CONTRACT, asked, SENT, total.astype(np.uint64), True, True)
    assert fitted
    assert evaluated
    assert fitted.examples == n.sum()
    exact = SENT["d"] + np.average(changes[:, 1], weights=n.astype(float))
    near = limit * 1e-12 + asked.step  # float64's own rounding, and the step
    assert abs(fitted.arrays["d"] - exact) <= near
    assert abs(fitted.metrics["loss"] - np.average(changes[:, 0], weights=n.astype(float))) <= 64 * near
    assert np.array_equal(fitted.arrays["w"], SENT["w"])
    assert fitted.arrays["n"] == 5
    assert fitted.arrays["b"][0]
    assert np.array_equal(evaluated.arrays["score_histogram"], np.full((2, 3), count * (count - 1) // 2))
    assert evaluated.metrics == {"auc": pytest.approx(0.25, abs=64 * asked.step)}  # brier: nobody has one


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (Part(0, {}, SENT), "more examples"),
        (Part(2**21, {}, SENT), "more examples than the 1,048,576"),
        (Part(1, {}, SENT | {"d": np.array(1e9)}), "array 'd' changed by more than 256"),
        (Part(1, {}, SENT | {"d": np.array(np.nan)}), "array 'd' changed by more than 256"),
        (Part(1, {"loss": 1e9}, SENT), "metric 'loss'"),
    ],
)
def test_what_could_overflow_the_sum_is_not_added(part: Part, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        written(CONTRACT, terms(3), SENT, part, None)


def test_terms_that_could_overflow_are_refused() -> None:
    with pytest.raises(ValueError, match="too few bits"):
        terms(500, most_examples=2**40)
    with pytest.raises(ValueError, match="power of two"):
        terms(3, limit=100.0)
    with pytest.raises(ValueError, match="3 to 500"):
        terms(2)
    assert [terms(n).threshold for n in (3, 4, 5, 6, 9, 100)] == [2, 3, 4, 4, 6, 67]


TABLES = OutputContract(
    parameters={},
    fit_metrics=(),
    evaluate_metrics=(),
    evaluate_arrays={
        "counts": ArraySpec(shape=(2, 3), dtype="int64"),
        "more": ArraySpec(shape=(1,), dtype="int64"),
        "sums": ArraySpec(shape=(2,), dtype="float64"),
    },
)


def added(asked: SecureAggregation, arrays: list[dict[str, np.ndarray]], rounding: int = 1) -> Part:
    parts = [Part(10, {}, one) for one in arrays]
    total = np.sum(
        [written(TABLES, asked, {}, None, part, rounding=rounding) for part in parts], axis=0, dtype=np.uint64
    )
    _, evaluated = read(TABLES, asked, {}, total, False, True)
    assert evaluated
    return evaluated


def test_withheld_cells_are_never_added_and_it_is_told_that_some_are() -> None:
    """A gate writes -20 for a cell below 20, and -1 for one that covers it."""
    asked = terms(3, tables=("counts",), sums=("sums",))
    counts = [[[25, -20, 40], [0, 30, 0]], [[35, -1, 20], [0, -20, 0]], [[0, 0, 0], [0, 0, 5]]]
    rest = {"more": np.array([1]), "sums": np.array([0.5, -(2.0**29)])}
    found = added(asked, [{"counts": np.array(one), **rest} for one in counts], rounding=5)
    assert found.arrays["counts"].tolist() == [[60, -1, 60], [0, -31, 5]]  # at least 0, and at least 30
    assert found.rounding == {"counts": 3 * 5}
    assert found.arrays["sums"].tolist() == [1.5, -3 * 2.0**29]
    assert found.arrays["more"].tolist() == [3]


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"more": np.array([-20])}, "'more' has cells that are withheld"),
        ({"sums": np.array([0.0, 2.0**31])}, "'sums' has numbers above"),
        ({"sums": np.array([np.nan, 0.0])}, "'sums' has numbers above"),
    ],
)
def test_what_no_sum_can_hold_is_not_added(arrays: dict[str, np.ndarray], says: str) -> None:
    honest = {"counts": np.zeros((2, 3), np.int64), "more": np.array([0]), "sums": np.zeros(2)}
    asked = terms(3, tables=("counts",), sums=("sums",))
    with pytest.raises(InvalidInput, match=says):
        written(TABLES, asked, {}, None, Part(10, {}, honest | arrays))


def test_the_greatest_sums_of_most_hospitals_fit() -> None:
    asked = terms(500, sums=("sums",))
    one = {"counts": np.zeros((2, 3), np.int64), "more": np.array([0]), "sums": np.array([2.0**30, -(2.0**30)])}
    assert added(asked, [one] * 500).arrays["sums"].tolist() == [500 * 2.0**30, -500 * 2.0**30]


def test_terms_without_the_new_entries_are_what_they_were() -> None:
    assert terms(3).model_dump(mode="json").keys() == {"hospitals", "limit", "most_examples"}
    assert terms(3).digest != terms(3, honest=3).digest
    with pytest.raises(ValueError, match="3 to 3 of 3 hospitals are honest, not 2"):
        terms(3, honest=2)
