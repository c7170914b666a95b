"""What an insider can do who holds a hospital's disk and keys: rewrite the log, whole and consistent in itself."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from datasites.wire.canonical import canonical_json
from datasites.wire.merkle import MemoryTree, grown, leaf_hash

Change = Callable[[list[dict[str, Any]]], None]


def copy(database: Path, target: Path) -> Path:
    """A whole copy of a database that may be in use."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(target)) as copied:
        source.backup(copied)
    return target


def restore(copied: Path, database: Path) -> None:
    """Puts a copy in the place of a database that is not in use."""
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    shutil.copy(copied, database)


def rewrite(database: Path, change: Change) -> None:
    """Lets `change` do what it likes to the entries, numbers them anew and makes the tree fit them."""
    with closing(sqlite3.connect(database)) as db, db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        entries = [json.loads(e) for (e,) in db.execute("SELECT entry FROM audit_entries ORDER BY number")]
        change(entries)
        db.executescript("DELETE FROM audit_entries; DELETE FROM audit_nodes; DELETE FROM audit_heads;")
        tree = MemoryTree()
        for number, entry in enumerate(entries, 1):
            data = canonical_json({**entry, "number": number})
            db.execute("INSERT INTO audit_entries (number, entry) VALUES (?, ?)", (number, data.decode()))
            nodes = list(grown(tree.size, leaf_hash(data), tree.node))
            db.executemany("INSERT INTO audit_nodes VALUES (?, ?, ?)", nodes)
            tree.add(leaf_hash(data))
