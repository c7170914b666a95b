"""What the data may be used for. The purpose is what the researcher declares; no rule can see what is done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.rules.base import Violation, listed, matches

if TYPE_CHECKING:
    from policies.policy import Policy
    from policies.request import StudyRequest


def check(policy: Policy, request: StudyRequest) -> list[Violation]:
    allowed = policy.asking.purposes
    if request.purpose.strip() and matches(request.purpose, allowed):
        return []
    reason = f"The purpose {request.purpose!r} is not one that the table may be used for."
    return [Violation("purposes", reason, f"State a purpose that is one of: {listed(allowed)}.")]
