"""Who besides the researcher may read this hospital's model by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.rules.base import Violation, listed, matches

if TYPE_CHECKING:
    from policies.policy import Policy
    from policies.request import StudyRequest


def check(policy: Policy, request: StudyRequest) -> list[Violation]:
    """All hospitals of the network count, for what one reads goes on to the others in its mix."""
    allowed = policy.release.neighbours
    refused = [one for one in request.neighbours if not matches(one, allowed)]
    if not refused:
        return []
    return [
        Violation(
            "neighbours",
            f"This hospital's model would be sent to other hospitals by itself; the policy does not let these read it: "
            f"{listed(refused)}.",
            "Run the study through the researcher, with Rounds and without gossip, or add them to neighbours in "
            "[release].",
        )
    ]
