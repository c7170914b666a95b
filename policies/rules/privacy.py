"""What all of a study costs in differential privacy. The ledger asks again before each round, of all studies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.privacy.accounting import epsilon
from policies.privacy.events import Event
from policies.privacy.plan import Plan
from policies.privacy.renyi import RenyiFilter, curve
from policies.rules.base import Violation

if TYPE_CHECKING:
    from policies.policy import Policy
    from policies.request import StudyRequest


def check(policy: Policy, request: StudyRequest) -> list[Violation]:
    events, budget = planned(policy, request), policy.budget
    if not events:
        return []
    if budget is None:
        return [Violation("privacy", "The policy has no privacy budget.", "The data owner must add a [budget].")]
    found, most = [], budget.epsilon_per_study
    if not within(events, most, budget.delta):
        spent = epsilon(events, budget.delta)
        reason = f"All of it would use epsilon {spent:.3g} at delta {budget.delta:g}; {most:g} is allowed a study."
        found.append(Violation("privacy", reason, _cheaper(policy, request)))
    if request.patients and budget.delta >= 1 / request.patients:  # how many there are is the hospital's own
        reason = f"The policy's delta of {budget.delta:g} is not below 1 over the number of patients in the table."
        found.append(Violation("privacy", reason, "The data owner must set a smaller delta in the policy's [budget]."))
    return found


def planned(policy: Policy, request: StudyRequest) -> tuple[Event, ...]:
    """What the whole study releases with noise; nothing for study code whose results get none."""
    if request.tier == "private":
        return request.events
    noise = policy.release.gate_noise
    return () if noise is None else Plan.gate_noise(max(request.rounds, request.rounds_asked), noise).events


def within(events: tuple[Event, ...], limit: float, delta: float) -> bool:
    """A plan is fixed beforehand, so that its exact epsilon counts."""
    return RenyiFilter(limit, delta).admits(curve(events)) or epsilon(events, delta) <= limit


def _cheaper(policy: Policy, request: StudyRequest) -> str:
    if request.tier == "private":
        return "Ask for more noise, fewer rounds or steps, or a smaller sampling rate."
    return f"Ask for fewer rounds than {request.rounds_asked:,}, or have the policy's gate_noise raised."
