"""How often a study may run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.rules.base import Violation

if TYPE_CHECKING:
    from policies.policy import Policy
    from policies.request import StudyRequest


def check(policy: Policy, request: StudyRequest) -> list[Violation]:
    most = policy.running.rounds
    if 1 <= request.rounds <= most:
        return []
    return [Violation("rounds", f"It asks for {request.rounds:,} rounds.", f"Ask for 1 to {most:,}.")]
