from __future__ import annotations

import numpy as np
import pytest

from datasites.wire.contract import array_problems, describe_arrays, metric_problems

ARRAYS = {"w": np.zeros((2, 3), np.float32), "n": np.array(3)}


def test_arrays_match_their_own_description() -> None:
    assert array_problems(ARRAYS, describe_arrays(ARRAYS)) == []


def test_every_difference_is_named_and_no_value() -> None:
    other = {"n": np.array(3, np.int32), "w": np.full((3, 2), 77.0, np.float32), "x": np.zeros(1)}
    problems = array_problems(other, describe_arrays({**ARRAYS, "gone": np.zeros(1)}))
    assert [problem.split("'")[1] for problem in problems] == ["gone", "x", "n", "w"]
    assert "77" not in " ".join(problems)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_does_not_leave(value: float) -> None:
    arrays = {"w": np.array([[1.0, value]])}
    assert array_problems(arrays, describe_arrays(arrays)) == ["array 'w' holds NaN or infinity"]
    assert metric_problems({"loss": value}, ["loss"]) == ["metric 'loss' is not finite"]


def test_a_scalar_is_no_vector_of_one() -> None:
    assert array_problems({"n": np.zeros(1)}, describe_arrays({"n": np.array(0.0)}))


def test_metrics_are_some_of_those_agreed_on() -> None:
    assert metric_problems({"loss": 1.0}, ["auc", "loss"]) == []
    assert metric_problems({"row_17": 1.0}, ["loss"]) == ["metric 'row_17' is not in the contract"]
