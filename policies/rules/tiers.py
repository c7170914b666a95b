"""Who trains: the hospital's own loop (private tier) or approved study code (reviewed tier)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.rules.base import Violation, listed

if TYPE_CHECKING:
    from policies.policy import Policy
    from policies.request import StudyRequest


def check(policy: Policy, request: StudyRequest) -> list[Violation]:
    allowed = policy.running.tiers
    if request.tier in allowed:
        return []
    reason = f"Studies of the {request.tier} tier are not allowed for this table."
    return [Violation("tiers", reason, f"Submit it in another tier: {listed(allowed)}.")]
