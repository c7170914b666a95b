from __future__ import annotations

import numpy as np
import pytest

from datasites.release import OutputRefused, check_evaluate, check_fit, check_input
from datasites.wire.manifest import ArraySpec, OutputContract

CONTRACT = OutputContract(
    parameters={"w": ArraySpec(shape=(2,), dtype="float32"), "n": ArraySpec(shape=(), dtype="int64")},
    fit_metrics=("loss",),
    evaluate_metrics=("auc",),
    evaluate_arrays={"score_histogram": ArraySpec(shape=(2, 4), dtype="int64")},
)
GOOD = {"w": np.zeros(2, np.float32), "n": np.asarray(3)}
HISTOGRAM = {"score_histogram": np.zeros((2, 4), np.int64)}


def test_what_the_contract_names_passes() -> None:
    check_fit(GOOD, {"loss": 0.5}, CONTRACT)
    check_evaluate(HISTOGRAM, {"auc": 0.5}, CONTRACT)
    check_fit(GOOD, {}, CONTRACT)  # a metric may be undefined at a hospital
    check_input(GOOD, CONTRACT)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"w": np.zeros(3, np.float32)}, r"'w' is float32\(3,\), not float32\(2,\)"),
        ({"w": np.zeros(2)}, "'w' is float64"),
        ({"n": np.zeros(1, np.int64)}, r"'n' is int64\(1,\)"),
        ({"w": np.array([1, np.nan], np.float32)}, "'w' holds NaN"),
        ({"w": np.array([1, -np.inf], np.float32)}, "'w' holds NaN or infinity"),
        ({"patients": np.zeros(2)}, "'patients' is not in the contract"),
    ],
)
def test_any_other_array_stays(change: dict[str, np.ndarray], said: str) -> None:
    for check in (lambda a: check_fit(a, {"loss": 0.5}, CONTRACT), lambda a: check_input(a, CONTRACT)):
        with pytest.raises(OutputRefused, match=said):
            check({**GOOD, **change})


@pytest.mark.parametrize("metrics", [{"loss": 0.1, "age": 71.0}, {"loss": float("nan")}, {"loss": float("inf")}])
def test_any_other_metric_stays(metrics: dict[str, float]) -> None:
    with pytest.raises(OutputRefused, match="metric"):
        check_fit(GOOD, metrics, CONTRACT)


def test_every_difference_is_named_and_no_value() -> None:
    with pytest.raises(OutputRefused) as caught:
        check_evaluate({"rows": np.array([8675309])}, {"auc": float("inf"), "age": 8675309.0}, CONTRACT)
    text = str(caught.value)
    assert all(name in text for name in ("'score_histogram' is missing", "'rows'", "'auc'", "'age'"))
    assert "8675309" not in text
