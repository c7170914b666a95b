"""Results that would bring rows out: none leaves, each is held for the owner, and the next honest round is released."""

from __future__ import annotations

import numpy as np
import pytest

from datasites.wire.reasons import Reason
from datasites.wire.rounds import decode_reply
from tests.attacks.outputs.ward import CONTRACT, POLICY, ROWS, Ward

FITS = {
    "an_extra_array_of_rows": (1, Reason.CONTRACT, "array 'rows' is not in the contract"),
    "a_wider_dtype": (2, Reason.CONTRACT, "array 'w' is float64"),
    "a_longer_array": (3, Reason.CONTRACT, "array 'w' is float32(60,), not float32(4,)"),
    "a_payload_in_nans": (4, Reason.BAD_OUTPUT, "array 'w' holds NaN"),
    "a_payload_of_infinities": (5, Reason.BAD_OUTPUT, "array 'w' holds NaN or infinity"),
    "text_in_a_metrics_name": (6, Reason.CONTRACT, "is not in the contract"),
    "one_metric_more": (7, Reason.CONTRACT, "metric 'days' is not in the contract"),
    "a_metric_the_policy_does_not_list": (8, Reason.OUTPUTS, "metric 'mean_days' is not among"),
    "six_rows_in_a_huge_metric": (9, Reason.OUTPUTS, "metric 'loss' is above 1e+09"),
    "a_value_in_the_number_of_examples": (10, Reason.COHORT, "more rows stand behind the result than the table has"),
    "a_result_of_a_handful_of_patients": (11, Reason.COHORT, "fewer than 10 rows stand behind the result"),
    "rows_as_weights": (12, Reason.NORM, "the model moved further than 10"),
    "rows_as_whole_numbers": (13, Reason.NORM, "array 'ids' holds whole numbers that were changed"),
    "an_array_metric_of_training": (15, Reason.CONTRACT, "array 'rows' is not in the contract"),
    "a_pickle_in_place_of_the_reply": (16, Reason.BAD_OUTPUT, ""),
    "a_header_said_to_be_a_terabyte": (17, Reason.BAD_OUTPUT, "header is too large"),
    "a_header_of_six_megabytes": (18, Reason.BAD_OUTPUT, "header is too large"),
    "a_header_nested_to_the_sky": (19, Reason.BAD_OUTPUT, "not a safetensors blob"),
    "a_nan_that_json_does_not_know": (20, Reason.CONTRACT, "array 'act' is missing"),
    "two_arrays_over_the_same_bytes": (21, Reason.BAD_OUTPUT, "not a safetensors blob"),
    "rows_in_the_header": (22, Reason.BAD_OUTPUT, "says other things"),
    "a_dtype_numpy_does_not_have": (23, Reason.BAD_OUTPUT, ""),
    "rows_behind_the_last_array": (24, Reason.BAD_OUTPUT, "not a safetensors blob"),
    "rows_behind_an_error": (25, Reason.BAD_OUTPUT, ""),
    "an_empty_reply": (26, Reason.BAD_OUTPUT, ""),
}
EVALUATIONS = {
    "negative_counts": (40, Reason.OUTPUTS, "has counts below 0"),
    "rows_as_huge_counts": (41, Reason.OUTPUTS, "counts more rows than the table has"),
    "rows_as_counts": (42, Reason.OUTPUTS, "counts more rows than the table has"),
    "an_extra_table": (43, Reason.CONTRACT, "array 'rows' is not in the contract"),
    "rows_in_the_high_digits_of_averages": (44, Reason.OUTPUTS, "array 'curve' has numbers above 1e+09"),
    "nans_in_averages": (45, Reason.BAD_OUTPUT, "array 'curve' holds NaN"),
    "a_table_under_another_name": (46, Reason.CONTRACT, "array 'table' is not in the contract"),
    "one_row_more_than_there_are": (47, Reason.COHORT, "more rows stand behind"),
    "counts_that_overflow_their_sum": (49, Reason.OUTPUTS, "counts more rows than the table has"),
}


@pytest.mark.parametrize(("act", "reason", "why"), (cases := FITS | EVALUATIONS).values(), ids=cases)
def test_it_stays(ward: Ward, act: int, reason: Reason, why: str) -> None:
    answer = ward.round(act)
    reply, parameters, arrays = decode_reply(answer.plaintext)
    assert (answer.outcome, reply.reason) == (reason, reason)
    assert (parameters, arrays, reply.fit, reply.evaluate) == ({}, {}, None, None)
    [held] = ward.held()
    assert (held.reason, held.kept) == (reason, True)
    assert any(why in line for line in held.why)
    assert [entry["output"] for entry in ward.audited()] == [held.name]
    after, state, _ = ward.honest()
    assert after.fit
    assert state["w"].tolist() == [0.5] * 4


def test_objects_do_not_even_reach_the_gate(ward: Ward) -> None:
    assert ward.round(14).outcome == Reason.BAD_OUTPUT
    assert ward.held() == []


def test_long_decimals_are_cut_off(ward: Ward) -> None:
    reply, _, arrays = ward.honest()
    assert reply.fit
    assert reply.evaluate
    assert (reply.fit.metrics, reply.evaluate.metrics) == ({"loss": 0.1235}, {"loss": 0.1235})
    assert arrays["curve"].tolist() == [0.1235] * 4


def test_no_cell_of_one_leaves_and_none_that_says_who(ward: Ward) -> None:
    seen = set()
    for _ in range(3):
        _, _, arrays = decode_reply(ward.round(48).plaintext)
        assert set(np.unique(arrays["score_histogram"]).tolist()) <= {0, 5}
        seen.add(arrays["score_histogram"].tobytes())
    assert len(seen) == 1  # asking again averages nothing away


def test_honest_counts_keep_their_sum(ward: Ward) -> None:
    _, _, arrays = ward.honest()
    assert not (arrays["score_histogram"] % 5).any()
    assert abs(arrays["score_histogram"].sum() - ROWS) < 10


def test_a_smaller_cohort_than_the_policy_wants_lets_nothing_out(ward: Ward) -> None:
    ward.policy(POLICY.replace("min_patients = 5", "min_patients = 31"))  # the table has 30
    assert ward.round().outcome == Reason.COHORT
    ward.policy(POLICY.replace("min_cohort = 10", "min_cohort = 61"))
    assert ward.round().outcome == Reason.COHORT


def test_the_bytes_of_evaluation_and_training_count_together(ward: Ward) -> None:
    whole = POLICY.replace("megabytes_per_round = 1", f"megabytes_per_round = {CONTRACT.max_bytes / 1e6}")
    ward.policy(whole)
    assert ward.round().outcome == "released"
    ward.policy(POLICY.replace("megabytes_per_round = 1", f"megabytes_per_round = {(CONTRACT.max_bytes - 1) / 1e6}"))
    assert ward.round().outcome == Reason.OUTPUTS


def test_a_damaged_policy_lets_nothing_out(ward: Ward) -> None:
    (ward.home.path / "policies" / "stays.toml").write_text("title = ")
    assert ward.round().outcome == Reason.HOSPITAL
    assert ward.held() == []  # not even the code ran
