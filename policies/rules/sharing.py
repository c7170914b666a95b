"""Whether noise may be shared with other hospitals: that trusts some of them, which the owner must have said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.privacy.events import SharedGaussian
from policies.rules.base import Violation

if TYPE_CHECKING:
    from policies.policy import Policy
    from policies.request import StudyRequest


def check(policy: Policy, request: StudyRequest) -> list[Violation]:
    shared = [event for event in request.events if isinstance(event, SharedGaussian)]
    bears = min((event.hospitals - event.honest for event in shared), default=0)
    least = policy.budget.colluding_hospitals if policy.budget else None
    if not shared or (least is not None and bears >= least):
        return []
    change = "Submit it without honest, so that each hospital adds its own noise"
    if least is None:
        reason = "Its noise would be shared with other hospitals; the policy wants this hospital's own to be enough."
        return [Violation("sharing", reason, f"{change}, or have colluding_hospitals set in [budget].")]
    reason = (
        f"Its noise would be enough only while at most {bears} of the hospitals help the researcher; the policy "
        f"reckons with {least}."
    )
    honest = shared[0].hospitals - least
    return [
        Violation("sharing", reason, f"{change}, or with honest = {honest} or fewer." if honest > 0 else f"{change}.")
    ]
