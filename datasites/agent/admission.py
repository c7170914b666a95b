"""Whether a study may go on: the decision in force is asked anew for every round, and while one runs."""

from __future__ import annotations

from collections.abc import Callable

from datasites.state import State, now
from datasites.wire.decision import Decision
from datasites.wire.identity import PublicIdentity
from datasites.wire.reasons import Reason

_SPARE_FAILURES = 10  # rounds that may fail besides as many as are approved, since the last approval


class RoundRefused(Exception):
    """Ends a round with a public reason."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.text)
        self.reason = reason


class Admission:
    """The owner's word on one study, read from the state database at each question: a revocation counts at once.

    hospital: whose own decisions count, and no others that stand in the database. policy: why the policy in force no
    longer allows what a decision approves, or None; `PolicyWatch.refusal`.
    """

    def __init__(
        self, state: State, study: str, hospital: PublicIdentity, policy: Callable[[Decision], Reason | None]
    ) -> None:
        self._state = state
        self._study = study
        self._hospital = hospital
        self._policy = policy

    def refusal(self) -> Reason | None:
        """Why the study may not run now, or None if it may."""
        return self._refusal(self._decision())

    def _refusal(self, decision: Decision | None) -> Reason | None:
        reason = refusal(decision)
        return self._policy(decision) if reason is None and decision is not None else reason

    def check(self, fit: bool) -> None:
        """Raises RoundRefused when a round may not be run, for the decision's or the policy's sake, or because all
        rounds are used."""
        decision = self._decision()
        reason = self._refusal(decision)
        if reason is None and decision is not None:
            trained, evaluated = self._state.used(self._study)
            # the state after the last round may be evaluated too
            over = (fit and trained >= decision.rounds) or evaluated > decision.rounds
            # how a run fails tells a little of the table, so that cannot go on without end either
            failed = self._state.failed(self._study, decision.decided_at)
            if over or failed >= decision.rounds + _SPARE_FAILURES:
                reason = Reason.ROUNDS_USED
        if reason is not None:
            raise RoundRefused(reason)

    def _decision(self) -> Decision | None:
        """The one in force, if this hospital signed it for this study; any other row counts as none."""
        signed = self._state.decision(self._study)
        if signed and signed.decision.study == self._study and signed.verified(self._hospital):
            return signed.decision
        return None


def refusal(decision: Decision | None) -> Reason | None:
    if decision is None or decision.verdict == "denied":
        return Reason.NOT_APPROVED
    if decision.verdict == "revoked":
        return Reason.REVOKED
    return None if decision.in_force(now()) else Reason.EXPIRED
