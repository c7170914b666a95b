"""A ledger that was lost, changed or rolled back behind the datasite's back is told from the audit log."""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from pathlib import Path

import pytest

from datasites.audit.heads import OwnHeads
from datasites.ledger.errors import LedgerDamaged
from datasites.state import State
from datasites.wire.identity import Identity
from datasites.wire.store import Store
from policies.errors import Refused
from tests.datasites.ledger.conftest import BUDGET, STUDY, answer, charge


def tamper(path: Path, *statements: str) -> None:
    """As somebody would who can write the file."""
    db = sqlite3.connect(path)
    for statement in ("DROP TRIGGER ledger_stays", "DROP TRIGGER ledger_remains", *statements):
        db.execute(statement)
    db.commit()
    db.close()


@pytest.fixture
def used(state: State, tmp_path: Path) -> Path:
    for number in (1, 2, 3):
        state.ledger.reserve(charge(number), BUDGET)
        state.record_answer(STUDY, answer(number))
    state.ledger.check()
    return tmp_path / "state.db"


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM ledger",
        "DELETE FROM ledger WHERE number > 4",
        "DELETE FROM ledger WHERE number = 3",
        "UPDATE ledger SET events = replace(events, '2.0', '9.0') WHERE number = 3",
        "UPDATE ledger SET events = 'x' WHERE number = 3",
        "UPDATE ledger SET step = 'refunded' WHERE number = 2",
        "UPDATE ledger SET dataset = 'another' WHERE number = 1",
        "UPDATE ledger SET entry = 3 WHERE number = 1",
        "INSERT INTO ledger SELECT 7, step, 7, dataset, study, researcher, 9, request, events, plan, at, entry "
        "FROM ledger WHERE number = 1",
        "INSERT INTO ledger SELECT 7, 'refunded', 6, dataset, study, researcher, 9, request, events, plan, at, entry "
        "FROM ledger WHERE number = 1",
    ],
)
def test_rows_that_are_not_as_recorded_stop_everything(used: Path, statement: str) -> None:
    tamper(used, statement)
    opened = State(used)
    for attempt in (
        opened.ledger.check,
        opened.ledger.recover,
        opened.ledger.rows,
        lambda: opened.ledger.reserve(charge(9), BUDGET),
        lambda: opened.ledger.spent("readmissions"),
    ):
        with pytest.raises(LedgerDamaged, match="privacy ledger"):
            attempt()
    assert issubclass(LedgerDamaged, Refused)
    opened.close()


def test_rows_lost_while_the_datasite_runs(state: State, used: Path) -> None:
    tamper(used, "DELETE FROM ledger WHERE number > 4")
    with pytest.raises(LedgerDamaged, match="lacks 2 charges"):
        state.ledger.reserve(charge(4), BUDGET)


def test_an_older_copy_of_the_file_contradicts_the_published_head(state: State, tmp_path: Path) -> None:
    identity = Identity.create("do@north.org", tmp_path / "identity.json")
    store = Store(f"memory:///{uuid.uuid4().hex}")
    state.ledger.reserve(charge(1), BUDGET)
    state._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(tmp_path / "state.db", tmp_path / "old.db")
    state.record_answer(STUDY, answer(1))
    OwnHeads(identity, state.audit).publish(store)
    for path in ("old.db", "lost.db"):
        older = State(tmp_path / path)
        older.ledger.check()  # in itself it is whole
        with pytest.raises(Refused, match="rolled back"):
            OwnHeads(identity, older.audit).check(store)
        older.close()
