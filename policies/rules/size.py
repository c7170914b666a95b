"""How many bytes may leave in one round."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.rules.base import Violation

if TYPE_CHECKING:
    from policies.policy import Policy
    from policies.request import StudyRequest


def check(policy: Policy, request: StudyRequest) -> list[Violation]:
    most = policy.running.bytes_per_round
    if 0 <= request.max_bytes <= most:
        return []
    reason = f"Up to {request.max_bytes:,} bytes would leave each round."
    return [Violation("size", reason, f"Use a smaller model or smaller arrays: at most {most:,} bytes.")]
