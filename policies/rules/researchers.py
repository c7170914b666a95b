"""Who may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.rules.base import Violation, listed, matches

if TYPE_CHECKING:
    from policies.policy import Policy
    from policies.request import StudyRequest


def check(policy: Policy, request: StudyRequest) -> list[Violation]:
    allowed = policy.asking.researchers
    if matches(request.researcher, allowed):
        return []
    reason = f"{request.researcher or 'A researcher without an address'} is not among those who may ask."
    return [Violation("researchers", reason, f"Ask through one of: {listed(allowed)}.")]
