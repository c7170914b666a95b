"""What the ledger's rows add up to, in memory: derived from them, brought up to date as rows come."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Literal

import numpy as np

from datasites.ledger.rows import Charge, Row
from policies.privacy.events import Event, once, repeated, times
from policies.privacy.plan import grouped
from policies.privacy.renyi import ORDERS, Curve, curve

Scope = tuple[Literal["study", "researcher", "total"], str, str]  # which limit, of which dataset, for whom


def scopes(charge: Charge) -> tuple[Scope, Scope, Scope]:
    """The limits that a charge counts against."""
    study: Scope = ("study", charge.dataset, charge.study)
    return study, ("researcher", charge.dataset, charge.researcher), ("total", charge.dataset, "")


class Totals:
    """Everything reserved and not refunded. Equal mechanisms are counted together, so the sum takes no longer when a
    study has many rounds."""

    def __init__(self) -> None:
        self.rows = 0  # taken into account
        self.entries = 0  # of the audit log, that were compared with them
        self.open: dict[int, Row] = {}
        self.plans: dict[Scope, tuple[Event, ...] | None] = {}
        self.events: defaultdict[Scope, Counter[Event]] = defaultdict(Counter)
        self._curves: defaultdict[Scope, Curve] = defaultdict(lambda: np.zeros_like(ORDERS))

    def add(self, row: Row) -> None:
        """Takes the next row into account."""
        if row.step == "reserved":
            self.open[row.number] = row
            self.plans.setdefault(scopes(row.charge)[0], row.charge.plan)
            self._count(row.charge, 1)
        else:
            del self.open[row.reservation]
            if row.step == "refunded":
                self._count(row.charge, -1)
        self.rows = row.number

    def with_(self, scope: Scope, events: Iterable[Event]) -> Curve:
        """The divergence, at each order, of all that is charged there and of these."""
        return self._curves[scope] + curve(events)

    def spent(self, scope: Scope) -> tuple[Event, ...]:
        """What is charged there."""
        return grouped(repeated(event, count) for event, count in self.events[scope].items() if count)

    def fits(self, plan: tuple[Event, ...], scope: Scope, events: Iterable[Event]) -> bool:
        """Whether all that is charged there and these are no more than the plan, mechanism by mechanism."""
        planned = Counter({once(event): times(event) for event in grouped(plan)})
        after = self.events[scope] + Counter({once(event): times(event) for event in grouped(events)})
        return all(count <= planned[event] for event, count in after.items())

    def _count(self, charge: Charge, sign: int) -> None:
        total = curve(charge.events)
        for scope in scopes(charge):
            self._curves[scope] = self._curves[scope] + sign * total
            for event in charge.events:
                self.events[scope][once(event)] += sign * times(event)
