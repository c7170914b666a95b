from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from datasites.wire.arrays import pack
from datasites.wire.limits import STAR_BYTES
from datasites.wire.outputs import ArraySpec, OutputContract
from datasites.wire.reasons import FINAL, Reason
from datasites.wire.rounds import (
    EvaluateReport,
    FitReport,
    RoundReply,
    RoundRequest,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
    most_bytes,
    request_digest,
)
from policies.errors import InvalidInput, Refused, WardroundError
from tests.support.submissions import manifest

STUDY, WARD = "a" * 64, "do@ward.org"
STATE = {"w": np.arange(4.0), "n": np.array(3)}


def request(**changes: Any) -> RoundRequest:
    fields = {"study": STUDY, "number": 1, "hospital": WARD, "evaluate": True, "fit": True}
    return RoundRequest.model_validate({**fields, **changes})


def reply(**changes: Any) -> RoundReply:
    fields = {"study": STUDY, "number": 1, "hospital": WARD, "request": "b" * 64}
    return RoundReply.model_validate({**fields, **changes})


def test_a_request_comes_back() -> None:
    again, state = decode_request(encode_request(request(), STATE))
    assert again == request()
    assert all(np.array_equal(state[name], STATE[name]) for name in STATE)


def test_the_same_round_is_the_same_message_and_no_other_is() -> None:
    first = request_digest(encode_request(request(), STATE))
    assert request_digest(encode_request(request(), dict(reversed(STATE.items())))) == first
    changed = [request(number=2), request(hospital="do@other.org"), request(fit=False), request(study="c" * 64)]
    digests = {request_digest(encode_request(one, STATE)) for one in changed}
    digests.add(request_digest(encode_request(request(), {**STATE, "n": np.array(4)})))
    assert len(digests | {first}) == 6


def test_a_reply_comes_back_with_both_kinds_of_arrays() -> None:
    sent = reply(
        fit=FitReport(num_examples=7, metrics={"loss": 0.5}),
        evaluate=EvaluateReport(num_examples=7, metrics={"auc": 1.0}),
    )
    histogram = {"w": np.ones((2, 3), np.int64)}  # the same name in both kinds must not clash
    again, parameters, metrics = decode_reply(encode_reply(sent, STATE, histogram))
    assert again == sent
    assert parameters.keys() == STATE.keys()
    assert np.array_equal(metrics["w"], histogram["w"])


def test_a_refusal_comes_back() -> None:
    again, parameters, metrics = decode_reply(encode_reply(reply(reason=Reason.REVOKED)))
    assert again.reason is Reason.REVOKED
    assert not parameters
    assert not metrics


@pytest.mark.parametrize(
    "changes",
    [{"evaluate": False, "fit": False}, {"number": 0}, {"number": 1_000_000}, {"study": ""}, {"fit": 1}, {"x": 1}],
)
def test_a_request_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        request(**changes)


FIT = {"num_examples": 1, "metrics": {"loss": 1.0}}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"reason": "revoked", "fit": FIT},
        {"reason": "because"},
        {"fit": {**FIT, "num_examples": 0}},
        {"fit": {**FIT, "metrics": {"loss": float("nan")}}},
        {"fit": {**FIT, "metrics": {"loss": "1"}}},
        {"fit": FIT, "seconds": -1.0},
    ],
)
def test_a_reply_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        reply(**changes)


@pytest.mark.parametrize("blob", [b"", b"x" * 100, pack({}, {}), pack({"kind": "round"}, {"w": np.zeros(1)})])
def test_rubbish_is_refused_on_both_sides(blob: bytes) -> None:
    for decode in (decode_request, decode_reply):
        with pytest.raises((Refused, InvalidInput)):
            decode(blob)


def test_a_message_of_the_other_kind_is_refused() -> None:
    with pytest.raises(WardroundError):
        decode_reply(encode_request(request(), {}))
    with pytest.raises(WardroundError):
        decode_request(encode_reply(reply(reason=Reason.REVOKED)))


def test_arrays_of_no_kind_are_refused() -> None:
    blob = pack(reply(reason=Reason.REVOKED).model_dump(mode="json"), {"w": np.zeros(1)})
    with pytest.raises(Refused, match="unknown kind"):
        decode_reply(blob)


def test_every_reason_has_its_words() -> None:
    assert all(reason.text.endswith((".", "?")) for reason in Reason)
    assert len({reason.text for reason in Reason}) == len(Reason)
    assert set(Reason) > FINAL


def test_a_message_may_be_as_large_as_its_study_and_no_larger() -> None:
    """So nobody makes a party of a small study read hundreds of megabytes, and a study of large models has its room."""

    def with_model(size: int) -> int:
        spec = ArraySpec(shape=(size,), dtype="float32")
        return most_bytes(
            manifest(
                outputs=OutputContract(parameters={"w": spec}, fit_metrics=(), evaluate_metrics=(), evaluate_arrays={})
            )
        )

    assert with_model(3_000) < 10 * 2**20
    assert 800_000_000 < with_model(200_000_000) < 820_000_000
    assert with_model(2**40) == STAR_BYTES
