"""The rules of the gate, each by what it refuses and what it must let through."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from datasites.release import layout
from datasites.release.examine import examine, violations_of
from datasites.release.rules import Result
from datasites.release.rules.norm import update_norm
from datasites.release.terms import Cohort, Rules, Terms
from datasites.runner.replies import Outcome, encode_result
from datasites.wire.outputs import ArraySpec, OutputContract
from datasites.wire.reasons import Reason
from policies.errors import InvalidInput
from policies.sections import Release

CONTRACT = OutputContract(
    parameters={"w": ArraySpec(shape=(2,), dtype="float32"), "n": ArraySpec(shape=(), dtype="int64")},
    fit_metrics=("loss",),
    evaluate_metrics=("auc",),
    evaluate_arrays={"score_histogram": ArraySpec(shape=(2, 4), dtype="int64")},
)
GOOD = {"w": np.zeros(2, np.float32), "n": np.asarray(3)}
HISTOGRAM = {"score_histogram": np.zeros((2, 4), np.int64)}


def terms(cohort: Cohort | None = None, **release: Any) -> Terms:
    defaults: dict[str, Any] = {
        "metrics": ("loss", "auc"),
        "arrays": {"score_histogram": (2, 4)},
        "min_cohort": 10,
        "min_cell": 5,
        "decimals": 4,
        "secure_aggregation": False,
    }
    rules = Rules(
        release=Release(**{**defaults, **release}),
        bytes_per_round=1000,
        kept_bytes=1000,
        min_patients=20,
        cohort=cohort or Cohort(rows=100, patients=50),
        rounding_key="ab" * 32,
    )
    return Terms(contract=CONTRACT, rules=rules)


def said(result: Result, given: Terms) -> list[tuple[Reason, str]]:
    return [(one.reason, one.text) for one in violations_of(result, given)]


def fit(parameters: dict[str, Any] | None = None, count: int = 50, **metrics: float) -> Result:
    return Result("fit", Outcome({**GOOD, **(parameters or {})}, count, metrics), GOOD)


def evaluate(arrays: dict[str, Any] | None = None, count: int = 50, **metrics: float) -> Result:
    return Result("evaluate", Outcome({}, count, metrics, {**HISTOGRAM, **(arrays or {})}))


def test_what_the_contract_names_passes_with_and_without_a_policy() -> None:
    for given in (terms(), Terms(contract=CONTRACT)):
        assert said(fit(loss=0.5), given) == []
        assert said(fit(), given) == []  # a metric may be undefined at a hospital
        assert said(evaluate(auc=0.5), given) == []


@pytest.mark.parametrize(
    ("change", "reason", "text"),
    [
        ({"w": np.zeros(3, np.float32)}, Reason.CONTRACT, "array 'w' is float32(3,), not float32(2,)"),
        ({"w": np.zeros(2)}, Reason.CONTRACT, "array 'w' is float64(2,), not float32(2,)"),
        ({"n": np.zeros(1, np.int64)}, Reason.CONTRACT, "array 'n' is int64(1,), not int64()"),
        ({"patients": np.zeros(2)}, Reason.CONTRACT, "array 'patients' is not in the contract"),
        ({"w": np.array([1, np.nan], np.float32)}, Reason.BAD_OUTPUT, "array 'w' holds NaN or infinity"),
        ({"w": np.array([1, -np.inf], np.float32)}, Reason.BAD_OUTPUT, "array 'w' holds NaN or infinity"),
    ],
)
def test_any_other_array_stays(change: dict[str, Any], reason: Reason, text: str) -> None:
    assert said(fit(change), Terms(contract=CONTRACT)) == [(reason, text)]


def test_every_difference_is_named_and_no_value() -> None:
    outcome = Outcome({}, 50, {"auc": float("inf"), "age": 8675309.0}, {"rows": np.array([8675309])})
    text = str(said(Result("evaluate", outcome), terms()))
    assert all(name in text for name in ("'score_histogram' is missing", "'rows'", "'auc'", "'age'"))
    assert "8675309" not in text


@pytest.mark.parametrize(
    ("count", "cohort", "refused"),
    [
        (10, Cohort(rows=100, patients=50), 0),
        (100, Cohort(rows=100, patients=50), 0),
        (9, Cohort(rows=100, patients=50), 1),
        (101, Cohort(rows=100, patients=50), 1),
        (10, Cohort(rows=100, patients=19), 1),
        (10, Cohort(rows=9, patients=9), 3),  # too few rows, too few patients, and a number that cannot be
    ],
)
def test_the_cohort_is_what_the_hospital_counted(count: int, cohort: Cohort, refused: int) -> None:
    found = said(fit(count=count), terms(cohort))
    assert [reason for reason, _ in found] == [Reason.COHORT] * refused


def test_the_quota_counts_what_the_round_has_let_out() -> None:
    size = layout.released_bytes("fit", CONTRACT)
    assert size == 8 + 8 + 8 + 8  # examples, loss, w, n
    assert said(dataclasses.replace(fit(), spent=1000 - size), terms()) == []
    assert [r for r, _ in said(dataclasses.replace(fit(), spent=1001 - size), terms())] == [Reason.OUTPUTS]


def test_the_norm_is_that_of_all_floating_point_arrays_together() -> None:
    came = {"w": np.array([3, 0], np.float32), "b": np.array([0, 4.0]), "n": np.asarray(900)}
    sent = {"w": np.zeros(2, np.float32), "b": np.zeros(2), "n": np.asarray(1)}
    assert update_norm(came, sent) == pytest.approx(5)
    assert update_norm({"w": np.array([1e300])}, {"w": np.array([-1e300])}) == np.inf
    moved = {"w": np.array([3, 4], np.float32), "n": np.asarray(700)}
    assert said(fit(moved), terms(max_update_norm=5.001)) == []
    assert said(fit(moved), terms(max_update_norm=4.999)) == [(Reason.NORM, "the model moved further than 4.999")]
    assert said(fit(moved), terms()) == []


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.full((2, 4), -1), "counts below 0"),
        (np.full((2, 4), 13), "counts more rows than the table has"),
        (np.full((2, 4), 2**62), "counts more rows than the table has"),
        (np.zeros((2, 4), np.uint8), "is uint8"),
        (np.zeros((2, 4), bool), "is bool"),
        (np.full((2, 4), -1e10), "numbers above"),
    ],
)
def test_a_table_that_is_none_of_counts_or_averages_stays(array: np.ndarray, text: str) -> None:
    spec = ArraySpec(shape=array.shape, dtype=array.dtype.name)
    contract = CONTRACT.model_copy(update={"evaluate_arrays": {"score_histogram": spec}})
    given = terms().model_copy(update={"contract": contract})
    [(reason, why)] = said(evaluate({"score_histogram": array}), given)
    assert reason is Reason.OUTPUTS
    assert text in why


def test_only_listed_arrays_and_metrics_leave_and_no_larger_than_listed() -> None:
    for arrays in ({}, {"score_histogram": (2, 3)}, {"score_histogram": (8,)}):
        assert [reason for reason, _ in said(evaluate(), terms(arrays=arrays))] == [Reason.OUTPUTS]
    assert said(evaluate(auc=0.5), terms(metrics=("loss",)))[0][0] is Reason.OUTPUTS
    assert said(fit(loss=-1e10), terms())[0] == (Reason.OUTPUTS, "metric 'loss' is above 1e+09")


def test_what_is_released_survives_the_layout_to_the_bit() -> None:
    frame = encode_result("fit", ({"w": np.array([1, -2], np.float32), "n": np.asarray(7)}, 50, {"loss": 0.25}))
    released = examine("fit", frame, GOOD, 0, terms()).released
    assert released
    again = layout.read("fit", layout.write("fit", released, CONTRACT), CONTRACT)
    assert (again.num_examples, again.metrics) == (50, {"loss": 0.25})
    assert {n: a.tolist() for n, a in again.parameters.items()} == {"w": [1, -2], "n": 7}
    assert again.parameters["w"].dtype == np.float32
    absent = examine("evaluate", encode_result("evaluate", (50, {**HISTOGRAM})), {}, 0, terms()).released
    assert absent
    assert layout.read("evaluate", layout.write("evaluate", absent, CONTRACT), CONTRACT).metrics == {}
    with pytest.raises(InvalidInput):
        layout.read("fit", layout.write("fit", released, CONTRACT) + b"x", CONTRACT)
