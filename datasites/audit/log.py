"""The log's place: beside the facts it records, in the state database, so that both are written in one transaction.

No fact without its entry, no entry without its fact, whenever the process dies. The database itself refuses to change
or delete an entry; that others hold it to its history (see `heads`) is for those who can get around the database.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from datasites.audit.entry import Kind, Value, entry_bytes
from datasites.wire.merkle import grown, leaf_hash, root
from policies.errors import Unavailable

# what finds the few entries on budgets by their index: SQLite takes it only for a condition in the same words
OF_BUDGETS = f"kind IN ('{Kind.BUDGET_CLOSED}', '{Kind.BUDGET_REOPENED}')"
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS audit_entries (
    number INTEGER PRIMARY KEY, entry TEXT NOT NULL,
    kind TEXT AS (json_extract(entry, '$.kind')), study TEXT AS (json_extract(entry, '$.study')),
    message TEXT AS (json_extract(entry, '$.message'))) STRICT;
CREATE INDEX IF NOT EXISTS audit_by_study ON audit_entries (study, kind) WHERE study IS NOT NULL;
CREATE INDEX IF NOT EXISTS audit_by_message ON audit_entries (message, kind) WHERE message IS NOT NULL;
CREATE INDEX IF NOT EXISTS audit_of_budgets ON audit_entries (number)
    WHERE {OF_BUDGETS};
CREATE TABLE IF NOT EXISTS audit_nodes (
    level INTEGER NOT NULL, position INTEGER NOT NULL, hash BLOB NOT NULL,
    PRIMARY KEY (level, position)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_heads (
    holder TEXT NOT NULL, size INTEGER NOT NULL, document TEXT NOT NULL, PRIMARY KEY (holder, size)) STRICT;
CREATE TABLE IF NOT EXISTS audit_witnessed (
    hospital TEXT PRIMARY KEY, keys TEXT NOT NULL, head TEXT, verdict TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS audit_gaps (number INTEGER PRIMARY KEY, document TEXT NOT NULL) STRICT;
CREATE TRIGGER IF NOT EXISTS audit_entries_stay BEFORE UPDATE ON audit_entries
    BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS audit_entries_remain BEFORE DELETE ON audit_entries
    BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
"""
_LINES = """
SELECT number, entry, hash FROM audit_entries JOIN audit_nodes ON level = 0 AND position = number - 1
WHERE number > ? AND number <= ? ORDER BY number LIMIT 1000"""


class StateUnusable(Unavailable):
    """The disk that the state lies on is full, or fails."""


@contextmanager
def plain_errors(what: str) -> Iterator[None]:
    """A disk that is full or fails becomes StateUnusable: nothing of the transaction is there then."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StateUnusable(
            f"The datasite's state could not be {what} ({error}).",
            "Make room on its disk, or have it repaired; nothing was lost, trying again is safe.",
        ) from None


class AuditLog:
    """Shares the connection and the lock of `State`; its connection begins transactions with IMMEDIATE."""

    def __init__(self, db: sqlite3.Connection, lock: threading.RLock) -> None:
        self._db = db
        self._lock = lock

    # writing

    def add(self, kind: Kind, **fields: Value) -> int:
        """Appends within the transaction that writes the fact; its caller holds the lock. Returns the number."""
        number = self.size + 1
        entry = entry_bytes(number, kind, fields)
        self._db.execute("INSERT INTO audit_entries (number, entry) VALUES (?, ?)", (number, entry.decode()))
        nodes = grown(number - 1, leaf_hash(entry), self.node)
        self._db.executemany("INSERT INTO audit_nodes VALUES (?, ?, ?)", list(nodes))
        return number

    def record(self, kind: Kind, **fields: Value) -> None:
        """Appends what is a fact by being recorded."""
        with self.transaction():
            self.add(kind, **fields)

    def record_once(self, kind: Kind, unique: str = "", **fields: Value) -> bool:
        """The same, unless there is an entry of this kind about this `study` or `message`; says whether it was new.

        With `unique`, the name of a field, there may be several entries about a study, but one for each of its values.
        """
        with self.transaction():
            about = "study" if "study" in fields else "message"
            query = f"SELECT 1 FROM audit_entries WHERE kind = ? AND {about} = ?"  # noqa: S608
            values = [kind, fields[about]]
            if unique:
                query, values = f"{query} AND json_extract(entry, ?) = ?", [*values, f"$.{unique}", fields[unique]]
            new = not self.rows(query, *values)
            if new:
                self.add(kind, **fields)
        return new

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """For what must be written together with entries, by `add`. Not to be nested."""
        with plain_errors("written"), self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")  # a number is read before it is taken
            yield self._db

    # reading

    @property
    def size(self) -> int:
        return self.rows("SELECT max(number) FROM audit_entries")[0][0] or 0

    def root(self, size: int) -> bytes:
        """The Merkle root over the first `size` entries."""
        return root(size, self.node)

    def node(self, level: int, position: int) -> bytes:
        """See `datasites.wire.merkle`."""
        query = "SELECT hash FROM audit_nodes WHERE level = ? AND position = ?"
        found: bytes = self.rows(query, level, position)[0][0]
        return found

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """What is read within is of one moment; nobody who writes waits for it. Not to be nested."""
        with plain_errors("read"), self._lock:
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                self._db.rollback()

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What a SELECT finds."""
        with plain_errors("read"), self._lock:
            return self._db.execute(query, values).fetchall()

    def lines(self, until: int) -> Iterator[tuple[bytes, bytes]]:
        """The bytes of the first `until` entries, each with the leaf that was stored when it was written."""
        last = 0
        while rows := self.rows(_LINES, last, until):  # in parts, so that the agent's threads are not kept waiting
            yield from ((entry.encode(), leaf) for _, entry, leaf in rows)
            last = rows[-1][0]

    def entries(self, study: str | None = None, last: int | None = None) -> list[dict[str, Any]]:
        """All entries, or those of a study, oldest first; only the `last` ones, if given."""
        query = "SELECT entry FROM audit_entries WHERE ?1 IS NULL OR study = ?1 ORDER BY number DESC LIMIT ?2"
        rows = self.rows(query, study, -1 if last is None else last)
        return [json.loads(entry) for (entry,) in reversed(rows)]

    def only_heads_seen_since(self, number: int) -> bool:
        """Whether nothing but heads of others was recorded behind entry `number`."""
        query = "SELECT 1 FROM audit_entries WHERE number > ? AND kind <> ? LIMIT 1"
        return not self.rows(query, number, Kind.HEAD_SEEN)
