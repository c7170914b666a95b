"""What may stay at the hospital for a study's next round: arrays of its code's, and what compression left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.rules.base import Violation

if TYPE_CHECKING:
    from policies.policy import Policy
    from policies.request import StudyRequest


def check(policy: Policy, request: StudyRequest) -> list[Violation]:
    most, asked = policy.running.kept_bytes, request.kept_bytes
    if asked == 0:
        return []
    if request.tier == "private":
        return [Violation("kept", "The private tier keeps nothing between rounds.", "Let it keep nothing.")]
    if 0 < asked <= most:
        return []
    reason = f"It would keep {asked:,} bytes at the hospital from round to round."
    change = f"Keep at most {most:,} bytes." if most else "Keep nothing: the policy does not allow it."
    return [Violation("kept", reason, change)]
