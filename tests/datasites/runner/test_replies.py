"""Replies, between a study that may return anything and an agent that trusts nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from datasites.runner.errors import Code, WorkerFailed
from datasites.runner.replies import (
    Outcome,
    Task,
    decode_ready,
    decode_result,
    encode_error,
    encode_ready,
    encode_result,
    failure,
)
from datasites.wire.arrays import pack
from policies.errors import InvalidInput

W = {"w": np.zeros(2)}


def there_and_back(task: Task, result: Any) -> Outcome:
    return decode_result(task, encode_result(task, result))


def test_a_metric_and_a_parameter_may_share_a_name():
    outcome = there_and_back("fit", ({"w": np.ones(1)}, np.int32(2), {"w": np.zeros((2, 3)), "loss": np.float32(0.5)}))
    assert outcome.parameters["w"].tolist() == [1.0]
    assert outcome.arrays["w"].shape == (2, 3)
    assert (outcome.num_examples, outcome.metrics) == (2, {"loss": 0.5})


def test_scalar_arrays_keep_their_shape_and_type():
    assert there_and_back("initialize", {"w": np.array(1, np.int8)}).parameters["w"].shape == ()


@pytest.mark.parametrize(
    ("task", "result"),
    [
        ("initialize", None),
        ("initialize", {}),
        ("initialize", [np.zeros(1)]),
        ("fit", None),
        ("fit", "abc"),
        ("fit", (W, 1)),
        ("fit", [W, 1, {}]),
        ("fit", ({}, 1, {})),
        ("fit", (W, 0, {})),
        ("fit", (W, -1, {})),
        ("fit", (W, 1.0, {})),
        ("fit", (W, 2**60, {})),
        ("fit", ({"w": [1.0]}, 1, {})),
        ("fit", ({1: np.zeros(1)}, 1, {})),
        ("fit", ({"w": np.array(["text"])}, 1, {})),
        ("fit", ({"w": np.array([object()])}, 1, {})),
        ("fit", (W, 1, [("loss", 1.0)])),
        ("fit", (W, 1, {"loss": float("nan")})),
        ("fit", (W, 1, {"loss": np.inf})),
        ("fit", (W, 1, {"loss": "text"})),
        ("fit", (W, 1, {"loss\n": 1.0})),
        ("fit", (W, 1, {"x" * 300: 1.0})),
        ("evaluate", (0, {})),
        ("evaluate", (1, {"patients": np.array(["text"])})),
    ],
)
def test_what_is_not_agreed_is_refused_on_one_side_or_the_other(task, result):
    with pytest.raises(InvalidInput):
        there_and_back(task, result)


@pytest.mark.parametrize(
    ("header", "arrays"),
    [
        ({}, {}),
        ({"num_examples": True, "metrics": {}}, {"p/w": np.zeros(1)}),
        ({"num_examples": 1, "metrics": {"x": True}}, {"p/w": np.zeros(1)}),
        ({"num_examples": 1, "metrics": {"x": [1.0]}}, {"p/w": np.zeros(1)}),
        ({"num_examples": 1, "metrics": {}}, {"p/w": np.zeros(1), "q/x": np.zeros(1)}),
        ({"num_examples": 1, "metrics": {}}, {"m/w": np.zeros(1)}),
    ],
)
def test_forged_results_are_refused(header, arrays):
    with pytest.raises(InvalidInput):
        decode_result("fit", pack(header, arrays))


def test_evaluate_cannot_return_parameters():
    with pytest.raises(InvalidInput):
        decode_result("evaluate", pack({"num_examples": 1, "metrics": {}}, {"p/w": np.zeros(1)}))


def test_a_header_that_would_fill_the_agents_memory_is_not_parsed():
    with pytest.raises(InvalidInput, match="header"):
        decode_result("fit", pack({"x": "a" * 5_000_000}, {}))


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"\x80", Code.CODE_ERROR),
        (b"\x81", Code.OUT_OF_MEMORY),
        (b"\x82", Code.BAD_OUTPUT),
        (b"\x83", Code.BAD_OUTPUT),  # nothing that a worker says
        (b"\x07", Code.BAD_OUTPUT),
    ],
)
def test_a_worker_may_say_only_codes_of_its_own(said, code):
    assert failure(said) is code


def test_a_failure_is_one_byte_and_never_a_code_that_is_not_the_workers():
    assert [failure(encode_error(code)) for code in (Code.CODE_ERROR, Code.OUT_OF_MEMORY)] == [
        "code_error",
        "out_of_memory",
    ]
    assert failure(encode_error(Code.STOPPED)) is Code.BAD_OUTPUT
    assert failure(encode_result("evaluate", (1, {}))) is None
    with pytest.raises(WorkerFailed) as caught:
        decode_ready(encode_error(Code.OUT_OF_MEMORY))
    assert caught.value.code is Code.OUT_OF_MEMORY


def test_ready_names_known_functions_only():
    assert decode_ready(encode_ready(["fit", "evaluate"])) == {"fit", "evaluate"}
    for frame in (encode_ready([]), b"", b"\x08", b"\x01\x01", pack({"tasks": ["fit"]}, {})):
        with pytest.raises(InvalidInput):
            decode_ready(frame)
