"""Protections that the policy demands and that the hospital must really apply to this study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.rules.base import Violation

if TYPE_CHECKING:
    from policies.policy import Policy
    from policies.request import StudyRequest


def check(policy: Policy, request: StudyRequest) -> list[Violation]:
    demanded = {
        "secure_aggregation": policy.release.secure_aggregation,
        # the private tier adds noise while it trains
        "gate_noise": policy.release.gate_noise is not None and request.tier != "private",
    }
    missing = [name for name, needed in demanded.items() if needed and name not in request.protections]
    return [_missing(name) for name in missing]


def _missing(protection: str) -> Violation:
    name = protection.replace("_", " ")
    change = f"Submit it in a way that includes {name}, once this hospital offers that."
    if protection == "secure_aggregation":
        change = "Submit it with secure aggregation: Study(..., secure_aggregation=True)."
    return Violation("protections", f"The policy demands {name}, which this study would run without.", change)
