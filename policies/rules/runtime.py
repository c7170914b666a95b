"""How long one round may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.rules.base import Violation

if TYPE_CHECKING:
    from policies.policy import Policy
    from policies.request import StudyRequest


def check(policy: Policy, request: StudyRequest) -> list[Violation]:
    most = policy.running.seconds_per_round
    if 1 <= request.seconds_per_round <= most:
        return []
    reason = f"It may take {request.seconds_per_round:,} seconds a round."
    return [Violation("runtime", reason, f"Set seconds_per_round to at most {most:,}.")]
