"""One row of the ledger: what is charged to whom, and what became of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from datasites.audit.entry import Kind
from datasites.wire.canonical import canonical_json, digest_of
from policies.privacy.events import Event, from_json, to_json
from policies.privacy.plan import grouped

Step = Literal["reserved", "committed", "refunded"]
KINDS = {
    "reserved": Kind.BUDGET_RESERVED,
    "committed": Kind.BUDGET_COMMITTED,
    "refunded": Kind.BUDGET_REFUNDED,
}
SCHEMA = """
CREATE TABLE IF NOT EXISTS ledger (
    number INTEGER PRIMARY KEY, step TEXT NOT NULL, reservation INTEGER NOT NULL, dataset TEXT NOT NULL,
    study TEXT NOT NULL, researcher TEXT NOT NULL, round INTEGER NOT NULL, request TEXT NOT NULL,
    events TEXT NOT NULL, plan TEXT, at TEXT NOT NULL, entry INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS ledger_by_round ON ledger (study, round);
CREATE INDEX IF NOT EXISTS ledger_by_reservation ON ledger (reservation);
CREATE UNIQUE INDEX IF NOT EXISTS ledger_settled_once ON ledger (reservation) WHERE step <> 'reserved';
CREATE TRIGGER IF NOT EXISTS ledger_stays BEFORE UPDATE ON ledger
    BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS ledger_remains BEFORE DELETE ON ledger
    BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
"""


@dataclass(frozen=True)
class Charge:
    """What one round of a study releases; equal mechanisms are counted together.

    plan: the events of all its rounds (`Plan.events`), if they were fixed before the first.
    """

    dataset: str
    study: str
    researcher: str
    round: int
    request: str
    events: tuple[Event, ...]
    plan: tuple[Event, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "events", grouped(self.events))
        object.__setattr__(self, "plan", None if self.plan is None else grouped(self.plan))


@dataclass(frozen=True)
class Row:
    """`reservation`: the number of the row it settles; its own, for a reservation. `entry`: of the audit log."""

    number: int
    step: Step
    reservation: int
    charge: Charge
    at: str
    entry: int

    @property
    def digest(self) -> str:
        """Hex SHA-256 of all that the row says, which its entry in the audit log holds."""
        return digest_of([self.number, self.step, self.reservation, *_columns(self.charge), self.at])

    @property
    def values(self) -> tuple[Any, ...]:
        """In the order of the table's columns."""
        return (self.number, self.step, self.reservation, *_columns(self.charge), self.at, self.entry)

    @classmethod
    def of(cls, values: tuple[Any, ...]) -> Row:
        """Raises InvalidInput or ValueError for values that no row was written with."""
        number, step, reservation, dataset, study, researcher, round_, request, events, plan, at, entry = values
        planned = None if plan is None else _events(plan)
        charge = Charge(dataset, study, researcher, round_, request, _events(events), planned)
        return cls(number, step, reservation, charge, at, entry)


def _columns(charge: Charge) -> tuple[Any, ...]:
    plan = None if charge.plan is None else _text(charge.plan)
    who = (charge.dataset, charge.study, charge.researcher, charge.round, charge.request)
    return (*who, _text(charge.events), plan)


@lru_cache(maxsize=4096)  # many rows say the same
def _text(events: tuple[Event, ...]) -> str:
    return canonical_json([to_json(event) for event in events]).decode()


@lru_cache(maxsize=4096)
def _events(text: str) -> tuple[Event, ...]:
    return tuple(from_json(one) for one in json.loads(text))
