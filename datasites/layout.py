"""The layout of a datasite's home, by number: written into `state.db`, and brought up to date when that is opened.

A step from one layout to the next is a small function that is never changed once it was released; a test opens homes as
earlier releases left them (tests/fixtures). All steps that a home needs run in one transaction, after a copy was put
aside; what a step does to files beside the database it must be able to do again, as a crash may cut it off.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from datasites.wire.files import locked, private_folder, sync_folder
from policies.errors import InvalidInput


class Change(Protocol):
    def __call__(self, db: sqlite3.Connection, home: Path) -> None: ...


@dataclass(frozen=True)
class Step:
    """`change` makes the layout from the one before, within a transaction. files: beside the database, that it
    changes; they are copied before."""

    change: Change
    files: tuple[str, ...] = ()


def _gaps(db: sqlite3.Connection, home: Path) -> None:
    """Restored backups: what the datasite has said of entries that its log lost (see `audit.gaps`)."""
    db.execute("CREATE TABLE IF NOT EXISTS audit_gaps (number INTEGER PRIMARY KEY, document TEXT NOT NULL) STRICT")


STEPS: Mapping[int, Step] = {2: Step(_gaps)}  # by the layout that each makes; 1 was that of the first releases
LAYOUT = max(STEPS)


def bring_up(db: sqlite3.Connection, path: Path, steps: Mapping[int, Step] = STEPS) -> None:
    """Brings the home that the database `path` belongs to up to the newest layout; a new database gets it at once.

    Raises InvalidInput, and changes nothing, for a home that a newer release has written.
    """
    newest = max(steps)
    found = layout_of(db)
    if found > newest:
        raise InvalidInput(
            f"{path.parent} was written by a newer release of Wardround (layout {found}; this one knows {newest}).",
            "Install that release, or a newer one.",
        )
    if 0 < found < newest:
        _put_aside(db, path, newest, steps, found)
    if found < newest:
        with db:
            db.execute("BEGIN IMMEDIATE")
            now = layout_of(db)  # another process may have done it meanwhile
            for number in range(now + 1, newest + 1) if now else ():  # what is new is made as it is today
                steps[number].change(db, path.parent)
            db.execute(f"PRAGMA user_version = {newest:d}")


def layout_of(db: sqlite3.Connection) -> int:
    """0 for a database that nothing was written into."""
    number = int(db.execute("PRAGMA user_version").fetchone()[0])
    written = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'decisions'").fetchone()
    return number or (1 if written else 0)


def copied(db: sqlite3.Connection, target: Path) -> None:
    """A consistent copy of an open database at `target`, which is replaced; others may write meanwhile, to the database
    but not to `target`."""
    draft = target.with_name(f".{target.name}.draft")
    draft.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_CREAT | os.O_WRONLY, 0o600))
    with closing(sqlite3.connect(draft)) as copy:
        db.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
    with draft.open("rb") as stream:
        os.fsync(stream.fileno())
    os.replace(draft, target)
    sync_folder(target.parent)


def _put_aside(db: sqlite3.Connection, path: Path, newest: int, steps: Mapping[int, Step], found: int) -> None:
    folder = private_folder(path.parent / f"before-layout-{newest}")
    with locked(folder / ".lock"):
        copied(db, folder / path.name)
        for number in range(found + 1, newest + 1):
            for name in steps[number].files:
                source = path.parent / name
                if source.exists() and not (folder / name).exists():  # else it was changed already
                    shutil.copy2(source, folder / name)
