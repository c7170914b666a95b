from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from datasites.agent.admission import Admission, RoundRefused
from datasites.state import AnsweredRound, State, now
from datasites.wire.decision import Decision, SignedDecision, Verdict
from datasites.wire.reasons import Reason

STUDY = "a" * 64
Decide = Callable[..., None]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(tmp_path / "state.db")
    yield opened
    opened.close()


@pytest.fixture
def decide(state: State) -> Decide:
    def record(verdict: Verdict, rounds: int = 2, seconds: int = 60) -> None:
        decision = Decision(
            study=STUDY,
            hospital="do@north.org",
            number=len(state.decisions(STUDY)) + 1,
            verdict=verdict,
            rounds=rounds,
            expires_at=now() + timedelta(seconds=seconds),
            decided_at=now(),
        )
        state.record_decision(SignedDecision(decision=decision, signature="not checked here"))

    return record


def allows(decision: Decision) -> None:
    """A policy that has no objection."""


def answered(state: State, number: int, fit: bool = True, evaluate: bool = True, outcome: str = "released") -> None:
    state.record_answer(STUDY, AnsweredRound(number, str(number), outcome, fit, evaluate, b"", "now", 0.1))


def test_without_an_approval_in_force_nothing_runs(state: State, decide: Decide) -> None:
    admission = Admission(state, STUDY, allows)
    assert admission.refusal() is Reason.NOT_APPROVED
    for verdict, reason in (("denied", Reason.NOT_APPROVED), ("approved", None), ("revoked", Reason.REVOKED)):
        decide(verdict)
        assert admission.refusal() is reason
    decide("approved", seconds=0)
    assert admission.refusal() is Reason.EXPIRED
    with pytest.raises(RoundRefused, match="expired"):
        admission.check(fit=True)


def test_the_state_after_the_last_round_may_be_evaluated_once(state: State, decide: Decide) -> None:
    decide("approved", rounds=2)
    admission = Admission(state, STUDY, allows)
    for number in (1, 2):
        admission.check(fit=True)
        answered(state, number)
    with pytest.raises(RoundRefused, match="All approved rounds"):
        admission.check(fit=True)
    admission.check(fit=False)
    answered(state, 3, fit=False)
    with pytest.raises(RoundRefused, match="All approved rounds"):
        admission.check(fit=False)


def test_a_round_that_released_nothing_uses_nothing_up(state: State, decide: Decide) -> None:
    decide("approved", rounds=1)
    for number in range(1, 4):
        answered(state, number, outcome="code_error")
    Admission(state, STUDY, allows).check(fit=True)


def test_a_policy_that_no_longer_allows_it_stops_an_approved_study(state: State, decide: Decide) -> None:
    refused: list[Reason] = []
    admission = Admission(state, STUDY, lambda decision: refused[0] if refused else None)
    decide("approved")
    admission.check(fit=True)
    refused.append(Reason.POLICY)
    assert admission.refusal() is Reason.POLICY
    with pytest.raises(RoundRefused, match="policy no longer allows"):
        admission.check(fit=True)
    decide("revoked")
    assert admission.refusal() is Reason.REVOKED  # the owner's own word comes first
