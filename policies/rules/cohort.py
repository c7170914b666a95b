"""How many patients a table must have. The gate asks again for those behind each released number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.rules.base import Violation

if TYPE_CHECKING:
    from policies.policy import Policy
    from policies.request import StudyRequest


def check(policy: Policy, request: StudyRequest) -> list[Violation]:
    least = policy.data.min_patients
    if request.patients is None:
        reason, change = "It is not known how many patients the table has.", "The hospital must be able to read it."
    elif request.patients < least:  # how many there are is the hospital's own
        reason, change = f"The table has fewer than {least:,} patients.", "This hospital cannot take part for now."
    else:
        return []
    return [Violation("cohort", reason, change)]
