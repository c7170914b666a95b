"""Whether a study may go on: the decision in force is asked anew for every round, and while one runs."""

from __future__ import annotations

from collections.abc import Callable

from datasites.state import State, now
from datasites.wire.decision import Decision
from datasites.wire.reasons import Reason


class RoundRefused(Exception):
    """Ends a round with a public reason."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.text)
        self.reason = reason


class Admission:
    """The owner's word on one study, read from the state database at each question: a revocation counts at once.

    policy: why the policy in force no longer allows what a decision approves, or None; `PolicyWatch.refusal`.
    """

    def __init__(self, state: State, study: str, policy: Callable[[Decision], Reason | None]) -> None:
        self._state = state
        self._study = study
        self._policy = policy

    def refusal(self) -> Reason | None:
        """Why the study may not run now, or None if it may."""
        signed = self._state.decision(self._study)
        return self._refusal(signed.decision if signed else None)

    def _refusal(self, decision: Decision | None) -> Reason | None:
        reason = refusal(decision)
        return self._policy(decision) if reason is None and decision is not None else reason

    def check(self, fit: bool) -> None:
        """Raises RoundRefused when a round may not be run, for the decision's or the policy's sake, or because all
        rounds are used."""
        signed = self._state.decision(self._study)
        reason = self._refusal(signed.decision if signed else None)
        if reason is None and signed is not None:
            trained, evaluated = self._state.used(self._study)
            # the state after the last round may be evaluated too
            if (fit and trained >= signed.decision.rounds) or evaluated > signed.decision.rounds:
                reason = Reason.ROUNDS_USED
        if reason is not None:
            raise RoundRefused(reason)


def refusal(decision: Decision | None) -> Reason | None:
    if decision is None or decision.verdict == "denied":
        return Reason.NOT_APPROVED
    if decision.verdict == "revoked":
        return Reason.REVOKED
    return None if decision.in_force(now()) else Reason.EXPIRED
