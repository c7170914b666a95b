"""What a data owner sees of a table's privacy budget: in a notebook, and through the command line."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from datasites.ledger.rows import Row
from datasites.ledger.totals import Scope, Totals, scopes
from policies.errors import InvalidInput
from policies.privacy.accounting import epsilon
from policies.privacy.cache import NumberCache
from policies.privacy.events import Unit, told
from policies.privacy.renyi import admission_epsilon
from policies.privacy.what_if import WhatIf, what_if
from policies.sections import Budget


@dataclass(frozen=True)
class Spend:
    """Of the table, a researcher, or a study. epsilon: what is proven, of a patient. counted: what the limit is
    compared with. Both with what is reserved for rounds that run now. limit: None where the policy has none."""

    kind: str
    who: str
    epsilon: float
    counted: float
    limit: float | None
    planned: bool

    @property
    def left(self) -> float | None:
        """Of the limit; epsilons do not add up, so a study of this epsilon may well cost less than this."""
        return None if self.limit is None else max(0.0, self.limit - self.counted)


@dataclass(frozen=True)
class TableBudget:
    """One table's; `Datasite.budget` makes it."""

    table: str
    limits: Budget | None
    rows: tuple[Row, ...] = field(repr=False)
    cache: NumberCache | None = field(default=None, repr=False)

    @cached_property
    def total(self) -> Spend:
        """All studies together, ever."""
        return self._spend(("total", self.table, ""))

    @cached_property
    def researchers(self) -> list[Spend]:
        """Each researcher's studies together."""
        return [self._spend(scope) for scope in self._scopes(1)]

    @cached_property
    def studies(self) -> list[Spend]:
        """Each study alone; by name of its digest."""
        return [self._spend(scope) for scope in self._scopes(0)]

    @property
    def history(self) -> pd.DataFrame:
        """Every reservation and what became of it, oldest first."""
        settled = {row.reservation: row.step for row in self.rows if row.step != "reserved"}
        columns = ["at", "study", "researcher", "round", "state", "releases"]
        charges = [
            (
                row.at,
                row.charge.study,
                row.charge.researcher,
                row.charge.round,
                settled.get(row.number, "reserved"),
                "; ".join(told(event) for event in row.charge.events),
            )
            for row in self.rows
            if row.step == "reserved"
        ]
        return pd.DataFrame(charges, columns=columns)

    def what_if(
        self,
        rounds: int,
        steps: int,
        sampling_rate: float,
        *,
        noise_multiplier: float | None = None,
        epsilon: float | None = None,
        unit: Unit = "patient",
    ) -> WhatIf:
        """What so many rounds, each of so many steps, would cost with this noise; or which noise they need for a target
        epsilon; and what all studies would then have spent. Raises InvalidInput."""
        if self.limits is None:
            raise InvalidInput(f"The policy of {self.table!r} has no privacy budget.", "Add a [budget] to it.")
        return what_if(
            rounds,
            steps,
            sampling_rate,
            self.limits.delta,
            noise_multiplier=noise_multiplier,
            epsilon=epsilon,
            unit=unit,
            spent=self._totals.spent(("total", self.table, "")),
            cache=self.cache,
        )

    @cached_property
    def _totals(self) -> Totals:
        totals = Totals()
        for row in self.rows:
            totals.add(row)
        return totals

    def _scopes(self, which: int) -> list[Scope]:
        return list(dict.fromkeys(scopes(row.charge)[which] for row in self.rows if row.step == "reserved"))

    def _spend(self, scope: Scope) -> Spend:
        kind, _, who = scope
        events, limits = self._totals.spent(scope), self.limits
        if limits is None:
            return Spend(kind, who, float("inf") if events else 0.0, float("inf") if events else 0.0, None, False)
        exact = epsilon(events, limits.delta)
        planned = self._totals.plans.get(scope) is not None
        limit = {
            "study": limits.epsilon_per_study,
            "researcher": limits.epsilon_per_researcher,
            "total": limits.epsilon_total,
        }[kind]
        counted = exact if planned else admission_epsilon(events, limits.delta)
        return Spend(kind, who, exact, counted, limit, planned)

    def _repr_html_(self) -> str:
        if self.limits is None:
            return f"<p>The policy of <b>{html.escape(self.table)}</b> has no privacy budget: nothing can be spent.</p>"
        rows = "".join(_html_row(spend) for spend in (self.total, *self.researchers, *self.studies))
        return (
            f"<h4>Privacy budget of {html.escape(self.table)} (delta {self.limits.delta:g})</h4>"
            "<table><tr><th>who</th><th>epsilon spent</th><th>counted</th><th>of</th><th></th></tr>"
            f"{rows}</table><p>{html.escape(COUNTED)}</p>"
        )


COUNTED = (
    "Spent is what is proven of a patient. Counted is what the limit is compared with: more than spent, where studies "
    "may be chosen in the light of what earlier ones released."
)


def named(spend: Spend) -> str:
    """Whose it is, in words."""
    return {"total": "all studies", "researcher": spend.who, "study": f"study {spend.who[:12]}"}[spend.kind]


def _html_row(spend: Spend) -> str:
    limit = "no limit" if spend.limit is None else f"{spend.limit:g}"
    cells = (named(spend), f"{spend.epsilon:.3g}", f"{spend.counted:.3g}", limit)
    shown = "".join(f"<td style='text-align:left'>{html.escape(cell)}</td>" for cell in cells)
    return f"<tr>{shown}<td>{gauge(spend)}</td></tr>"


def gauge(spend: Spend) -> str:
    """A bar that reads on light and dark pages: it takes the page's own text colour."""
    if not spend.limit:
        return ""
    part = min(1.0, spend.counted / spend.limit)
    return (
        f"<svg width='200' height='12' role='img' aria-label='{100 * part:.0f}% used'>"
        "<rect x='.5' y='.5' width='199' height='11' rx='3' fill='none' stroke='currentColor' stroke-opacity='.6'/>"
        f"<rect x='.5' y='.5' width='{199 * part:.1f}' height='11' rx='3' fill='currentColor' fill-opacity='.6'/></svg>"
    )
