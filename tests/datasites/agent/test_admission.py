from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from datasites.agent.admission import Admission, RoundRefused
from datasites.state import AnsweredRound, State, now
from datasites.wire.decision import Decision, SignedDecision, Verdict
from datasites.wire.identity import Identity
from datasites.wire.reasons import Reason

STUDY, NORTH = "a" * 64, "do@north.org"
Decide = Callable[..., None]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(tmp_path / "state.db")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def north(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return Identity.create(NORTH, tmp_path_factory.mktemp("north") / "identity.json")


def allows(decision: Decision) -> None:
    """A policy that has no objection."""


@pytest.fixture
def admission(state: State, north: Identity) -> Admission:
    return Admission(state, STUDY, north.public, allows)


@pytest.fixture
def decide(state: State, north: Identity) -> Decide:
    def record(verdict: Verdict, rounds: int = 2, seconds: int = 60, by: Identity = north, **changed: Any) -> None:
        decision = Decision(
            study=STUDY,
            hospital=by.email,
            number=len(state.decisions(STUDY)) + 1,
            verdict=verdict,
            rounds=rounds,
            expires_at=now() + timedelta(seconds=seconds),
            decided_at=now(),
        )
        signed = SignedDecision.sign(decision, by)
        state.record_decision(signed.model_copy(update={"decision": decision.model_copy(update=changed)}))

    return record


def answered(state: State, number: int, fit: bool = True, evaluate: bool = True, outcome: str = "released") -> None:
    state.record_answer(STUDY, AnsweredRound(number, str(number), outcome, fit, evaluate, b"", now().isoformat(), 0.1))


def test_without_an_approval_in_force_nothing_runs(state: State, decide: Decide, admission: Admission) -> None:
    assert admission.refusal() is Reason.NOT_APPROVED
    for verdict, reason in (("denied", Reason.NOT_APPROVED), ("approved", None), ("revoked", Reason.REVOKED)):
        decide(verdict)
        assert admission.refusal() is reason
    decide("approved", seconds=0)
    assert admission.refusal() is Reason.EXPIRED
    with pytest.raises(RoundRefused, match="expired"):
        admission.check(fit=True)


def test_the_state_after_the_last_round_may_be_evaluated_once(
    state: State, decide: Decide, admission: Admission
) -> None:
    decide("approved", rounds=2)
    for number in (1, 2):
        admission.check(fit=True)
        answered(state, number)
    with pytest.raises(RoundRefused, match="All approved rounds"):
        admission.check(fit=True)
    admission.check(fit=False)
    answered(state, 3, fit=False)
    with pytest.raises(RoundRefused, match="All approved rounds"):
        admission.check(fit=False)


def test_a_round_that_fails_uses_nothing_up(state: State, decide: Decide, admission: Admission) -> None:
    decide("approved", rounds=1)
    for number in range(1, 4):
        answered(state, number, outcome="code_error")
    admission.check(fit=True)


def test_a_policy_that_no_longer_allows_it_stops_an_approved_study(
    state: State, decide: Decide, north: Identity
) -> None:
    refused: list[Reason] = []
    admission = Admission(state, STUDY, north.public, lambda decision: refused[0] if refused else None)
    decide("approved")
    admission.check(fit=True)
    refused.append(Reason.POLICY)
    assert admission.refusal() is Reason.POLICY
    with pytest.raises(RoundRefused, match="policy no longer allows"):
        admission.check(fit=True)
    decide("revoked")
    assert admission.refusal() is Reason.REVOKED  # the owner's own word comes first


def test_rounds_cannot_fail_without_end(state: State, decide: Decide, admission: Admission) -> None:
    """Each failure says a little about the table: how often it may is bounded, until the owner approves again."""
    decide("approved", rounds=2)
    for number in range(1, 13):
        admission.check(fit=True)
        answered(state, number, outcome="contract" if number % 2 else "timeout")
    with pytest.raises(RoundRefused, match="All approved rounds"):
        admission.check(fit=True)


def test_what_is_not_the_codes_fault_is_not_counted(state: State, decide: Decide, admission: Admission) -> None:
    decide("approved", rounds=1)
    for number in range(1, 30):
        answered(state, number, outcome="table" if number % 2 else "out_of_order")
    admission.check(fit=True)


def test_a_decision_that_this_hospital_did_not_sign_counts_for_nothing(
    decide: Decide, admission: Admission, tmp_path: Path
) -> None:
    decide("approved", by=Identity.create("do@south.org", tmp_path / "south.json"))
    assert admission.refusal() is Reason.NOT_APPROVED
    decide("approved", by=Identity.create(NORTH, tmp_path / "stranger.json"))
    assert admission.refusal() is Reason.NOT_APPROVED
    decide("approved", reason="changed after it was signed")
    assert admission.refusal() is Reason.NOT_APPROVED
