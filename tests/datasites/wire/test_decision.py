from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from datasites.wire.decision import Decision, SignedDecision
from datasites.wire.identity import Identity

TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OTHER: dict[str, Any] = {
    "study": "b" * 64,
    "number": 2,
    "verdict": "denied",
    "rounds": 4,
    "expires_at": datetime(2027, 1, 1, tzinfo=UTC),
    "reason": "Too much.",
    "decided_by": "Bo",
    "decided_at": datetime(2026, 1, 3, tzinfo=UTC),
    "noise": {"distance": 1.0, "multiple": 12.0},
    "least_patients": 50,
}


def decision(**changes: Any) -> Decision:
    fields = {"study": "a" * 64, "hospital": "do@ward.org", "number": 1, "verdict": "approved", "rounds": 3}
    return Decision.model_validate({**fields, "expires_at": TIME, "decided_at": TIME, **changes})


def test_a_signed_decision_survives_the_way(ward: Identity) -> None:
    signed = SignedDecision.sign(decision(), ward)
    read = SignedDecision.model_validate_json(signed.model_dump_json())
    assert read == signed
    assert read.verified(ward.public)


@pytest.mark.parametrize("field", OTHER)
def test_a_changed_field_breaks_the_signature(ward: Identity, field: str) -> None:
    signed = SignedDecision.sign(decision(), ward)
    changed = signed.model_copy(update={"decision": decision(**{field: OTHER[field]})})
    assert not changed.verified(ward.public)


def test_nobody_decides_for_another_hospital(ward: Identity, ada: Identity, stranger: Identity) -> None:
    assert not SignedDecision.sign(decision(), ada).verified(ward.public)
    assert not SignedDecision.sign(decision(hospital="ada@uni.org"), stranger).verified(ada.public)
    assert not SignedDecision.sign(decision(hospital="other@ward.org"), ward).verified(ward.public)


def test_what_attests_nothing_is_signed_as_before_there_was_the_word(ward: Identity) -> None:
    assert "least_patients" not in decision().model_dump()
    assert "least_patients" not in SignedDecision.sign(decision(), ward).model_dump_json()
    assert decision(least_patients=50).model_dump()["least_patients"] == 50


@pytest.mark.parametrize(
    "changes", [{"study": "a"}, {"number": 0}, {"verdict": "maybe"}, {"rounds": -1}, {"extra": 1}, {"hospital": "x"}]
)
def test_a_decision_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        decision(**changes)
