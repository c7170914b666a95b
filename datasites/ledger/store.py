"""The ledger: what every study has released of every table, append-only, beside the audit log.

Reserve before a run, settle with its answer. Each row and its entry in the audit log are one transaction; reservations
of several processes follow each other, and each sees all that were made before it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

from datasites.audit.entry import Kind
from datasites.audit.log import OF_BUDGETS, AuditLog
from datasites.ledger.admission import admit
from datasites.ledger.check import check_rows
from datasites.ledger.errors import BudgetExceeded, LedgerDamaged
from datasites.ledger.rows import KINDS, Charge, Row, Step
from datasites.ledger.totals import Scope, Totals
from policies.errors import InvalidInput, Refused
from policies.privacy.events import Event, once, repeated, times
from policies.sections import Budget

_ALL = "SELECT * FROM ledger WHERE number > ? ORDER BY number"
_OF_ROUND = """
SELECT reserved.*, settled.step FROM ledger AS reserved
LEFT JOIN ledger AS settled ON settled.reservation = reserved.number AND settled.number <> reserved.number
WHERE reserved.step = 'reserved' AND reserved.study = ? AND reserved.round = ?"""
ALL_TABLES = "*"
CLOSED = "A backup was put back, and what was spent since is not known. Its owner: wardround budget reopen."
# asked before each reservation
_CLOSED = f"""
SELECT kind FROM audit_entries WHERE {OF_BUDGETS}
AND json_extract(entry, '$.dataset') IN (?, ?) ORDER BY number DESC LIMIT 1"""  # noqa: S608 - two words of our own
_HINT = "Restore the newest state.db, not an older copy."


class Ledger:
    """Shares the connection and the lock of `State`. Whatever is asked of it, it first compares what is new with
    the audit log, at first everything, and raises LedgerDamaged for rows that are lost, changed or not recorded."""

    def __init__(self, db: sqlite3.Connection, lock: threading.RLock, audit: AuditLog) -> None:
        self._db = db
        self._lock = lock
        self._audit = audit
        self._totals = Totals()

    # writing

    def reserve(self, charge: Charge, budget: Budget | None) -> int:
        """Sets aside what a round will release; returns the reservation's number.

        The same round asked again finds its reservation. Raises BudgetExceeded, and then nothing is charged; Refused
        for a round that was released already, or is reserved for something else.
        """
        if self.closed(charge.dataset):
            raise BudgetExceeded(f"The privacy budget of {charge.dataset} is closed.", CLOSED)
        admission = admit(charge, budget)  # what takes long is done before anybody is kept waiting
        with self._audit.transaction():
            totals = self._caught_up()
            standing = self._standing(charge)
            if standing is None:
                admission.check(totals)
                standing = self._append("reserved", charge)
        return standing

    def commit(self, reservation: int) -> None:
        """Charges a reservation for good; once more changes nothing. Raises Refused for one that was refunded."""
        self._settle(reservation, "committed")

    def refund(self, reservation: int) -> None:
        """Gives a reservation back; once more changes nothing. Only for a run of which nothing, not even that it
        failed, has left. Raises Refused for one that was committed."""
        self._settle(reservation, "refunded")

    def settle_answered(self, study: str, round_: int, *, ran: bool) -> None:
        """For the transaction that stores a round's answer: commits the round's reservation, if it has one, or refunds
        it if nothing ran. A run that failed is paid for: that it failed is told, and may depend on a patient."""
        for row, settled in self._of_round(study, round_):
            if settled is None:
                self._append("committed" if ran else "refunded", row.charge, row.number)

    def recover(self) -> int:
        """For the agent's start: refunds the reservations that a crash left open; returns how many. Nothing of them can
        have left, as an answer is stored, in the transaction that commits, before it is posted."""
        with self._audit.transaction():
            left = list(self._caught_up().open.values())
            for row in left:
                self._append("refunded", row.charge, row.number)
        return len(left)

    # reading

    def closed(self, dataset: str) -> bool:
        """Whether nothing more may be charged: a backup was put back, and what was spent since then is not known.
        Also for a table that is not known here: it may have been, then."""
        newest = self._audit.rows(_CLOSED, ALL_TABLES, dataset)
        return bool(newest) and newest[0][0] == Kind.BUDGET_CLOSED

    def check(self) -> None:
        """Compares all rows with the audit log, both ways. Raises LedgerDamaged."""
        with self._lock:
            check_rows(self._rows(0), self._audit)

    def rows(self, dataset: str | None = None) -> list[Row]:
        """All rows, or those of a table, oldest first."""
        with self._lock:
            self.check()
            return [row for row in self._rows(0) if dataset in (None, row.charge.dataset)]

    def spent(self, dataset: str, *, study: str = "", researcher: str = "") -> tuple[Event, ...]:
        """What is charged, open reservations included: on a table in all, or there to one study or one researcher."""
        scope: Scope = ("study", dataset, study) if study else ("researcher", dataset, researcher)
        with self._lock:
            return self._caught_up().spent(scope if study or researcher else ("total", dataset, ""))

    def spent_by_others(self, dataset: str, study: str) -> tuple[Event, ...]:
        """What is charged on a table in all, without what this study is charged."""
        with self._lock:
            own = {once(event): times(event) for event in self.spent(dataset, study=study)}
            left = ((event, times(event) - own.get(once(event), 0)) for event in self.spent(dataset))
            return tuple(repeated(event, count) for event, count in left if count)

    # rows

    def _rows(self, last: int) -> Iterator[Row]:
        for values in self._audit.rows(_ALL, last):
            yield self._row(values)

    def _of_round(self, study: str, round_: int) -> list[tuple[Row, Step | None]]:
        """The round's reservations, and how each was settled."""
        return [(self._row(values[:-1]), values[-1]) for values in self._audit.rows(_OF_ROUND, study, round_)]

    @staticmethod
    def _row(values: tuple[object, ...]) -> Row:
        try:
            return Row.of(values)
        except (InvalidInput, ValueError, TypeError):
            raise LedgerDamaged(f"Row {values[0]} of the privacy ledger cannot be read.", _HINT) from None

    def _caught_up(self) -> Totals:
        """The sums over all rows; only new ones are read, and first held to the audit log."""
        totals = self._totals
        new = list(self._rows(totals.rows))
        check_rows(new, self._audit, totals.rows + 1, totals.entries)
        entries = self._audit.size
        for row in new:
            totals.add(row)
        totals.entries = entries
        return totals

    def _standing(self, charge: Charge) -> int | None:
        """The open reservation of the same round, if there is one."""
        for row, settled in self._of_round(charge.study, charge.round):
            if settled == "committed":
                raise Refused(f"Round {charge.round} was released already.", "Send its stored answer.")
            if settled is None:
                if row.charge != charge:
                    raise Refused(f"Round {charge.round} is reserved for another message.")
                return row.number
        return None

    def _settle(self, reservation: int, step: Step) -> None:
        with self._audit.transaction():
            query = "SELECT * FROM ledger WHERE reservation = ? ORDER BY number"
            found = [self._row(values) for values in self._audit.rows(query, reservation)]
            if not found:
                raise InvalidInput(f"There is no reservation {reservation} in the privacy ledger.")
            if len(found) == 1:
                self._append(step, found[0].charge, reservation)
            elif found[1].step != step:
                raise Refused(f"Reservation {reservation} was {found[1].step} already.")

    def _append(self, step: Step, charge: Charge, reservation: int | None = None) -> int:
        """Within the caller's transaction. Returns the row's number."""
        number = self._audit.rows("SELECT coalesce(max(number), 0) + 1 FROM ledger")[0][0]
        at = datetime.now(UTC).isoformat(timespec="seconds")
        draft = Row(number, step, reservation or number, charge, at, 0)
        entry = self._audit.add(
            KINDS[step],
            dataset=charge.dataset,
            study=charge.study,
            round=charge.round,
            request=charge.request,
            row=number,
            written=draft.digest,
        )
        marks = ", ".join("?" * len(draft.values))
        self._db.execute(f"INSERT INTO ledger VALUES ({marks})", (*draft.values[:-1], entry))  # noqa: S608
        return int(number)
