"""Whether a charge is within the limits of the table's policy. See policies/privacy/README.md for why this is sound."""

from __future__ import annotations

from dataclasses import dataclass

from datasites.ledger.errors import BudgetExceeded
from datasites.ledger.rows import Charge
from datasites.ledger.totals import Scope, Totals, scopes
from policies.errors import InvalidInput, Refused
from policies.privacy.accounting import epsilon
from policies.privacy.events import Event
from policies.privacy.renyi import RenyiFilter, curve, least_limit
from policies.rules.privacy import within
from policies.sections import Budget

_CHANGE = "Let the study ask for fewer rounds or more noise, or raise the limit in the table's policy."


@dataclass(frozen=True)
class Admission:
    """A charge that is allowed if the sums are. Its plan, if it has one, is within the study's limit."""

    charge: Charge
    budget: Budget

    def check(self, totals: Totals) -> None:
        """Compares with what is charged already, in microseconds. Raises BudgetExceeded, Refused."""
        charge, budget = self.charge, self.budget
        study, researcher, total = scopes(charge)
        self._check_study(totals, study)
        # a study whose plan would not fit is told before its first round, not in the middle
        asked = charge.plan if charge.plan and study not in totals.plans else charge.events
        if budget.epsilon_per_researcher is not None:
            _check(totals, researcher, asked, budget.epsilon_per_researcher, budget.delta)
        _check(totals, total, asked, budget.epsilon_total, budget.delta)

    def _check_study(self, totals: Totals, study: Scope) -> None:
        plan = self.charge.plan
        if study in totals.plans and totals.plans[study] != plan:
            raise Refused("The study's privacy plan is not the one of its first round.", "Submit it as a new study.")
        if plan is None:
            _check(totals, study, self.charge.events, self.budget.epsilon_per_study, self.budget.delta)
        elif not totals.fits(plan, study, self.charge.events):
            raise BudgetExceeded("This round would release more than the study's privacy plan says.", _CHANGE)


def admit(charge: Charge, budget: Budget | None) -> Admission:
    """Does all that takes long: curves of mechanisms not met before, and the epsilon of a plan (a second, once).

    Raises BudgetExceeded where there is no budget and for a plan above the study's limit; Refused for rows that stand
    for no person; InvalidInput for no events.
    """
    if budget is None:
        raise BudgetExceeded("The table's policy has no privacy budget.", "Add a [budget] to it.")
    if not charge.events:
        raise InvalidInput("A charge needs at least one privacy event.")
    plan = charge.plan or ()
    if any(event.unit == "record" for event in (*charge.events, *plan)) and not budget.one_row_per_person:
        raise Refused(
            "What protects one row does not protect a patient who has several.",
            "Account by patient, or say one_row_per_person = true in the policy's [budget] if it is so.",
        )
    curve(charge.events)
    if not within(plan, budget.epsilon_per_study, budget.delta):
        all_of_it = epsilon(plan, budget.delta)
        raise BudgetExceeded(
            f"The study would spend epsilon {all_of_it:.3g} in all; the policy allows it {budget.epsilon_per_study:g}.",
            _CHANGE,
        )
    return Admission(charge, budget)


def _check(totals: Totals, scope: Scope, events: tuple[Event, ...], limit: float, delta: float) -> None:
    """What may be chosen in the light of what was released before has to pass the filter."""
    after = totals.with_(scope, events)
    if RenyiFilter(limit, delta).admits(after):
        return
    kind, _, name = scope
    who = {"study": "the study", "researcher": f"all studies of {name}", "total": "all studies of the table"}[kind]
    counted = least_limit(after, delta)
    raise BudgetExceeded(
        f"With this, {who} would be charged epsilon {counted:.3g}; the policy allows {limit:g}.", _CHANGE
    )
