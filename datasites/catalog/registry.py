"""The tables that a datasite has registered: where each one lies and what its dictionary says.

The table itself stays where the hospital keeps it; nothing is copied until a study is approved. Beside a table's entry
stands how many patients it had when it was last read, which policies ask for and nobody but the owner may learn.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pydantic import ValidationError

from datasites.catalog.tables import TableSource
from datasites.catalog.validate import conform
from datasites.wire.canonical import sha256
from datasites.wire.dictionary import Dictionary
from datasites.wire.files import write_atomically
from policies.errors import InvalidInput


@dataclass(frozen=True)
class RegisteredTable:
    """`drop_unlisted`: columns of the source that the dictionary does not list are left out, not refused."""

    source: TableSource
    dictionary: Dictionary
    drop_unlisted: bool = False

    def read(self) -> pd.DataFrame:
        """The whole table in its dictionary's types. Raises InvalidInput naming every offending column."""
        return conform(self.source.read(), self.dictionary, drop_unlisted=self.drop_unlisted)


class Registry:
    """One JSON file (0600) a table, named after the dictionary's table."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, table: RegisteredTable) -> int:
        """Checks the whole table and registers it, or replaces the one of the same name.

        Returns its number of rows, which nobody but the owner may learn. Raises InvalidInput naming every problem.
        """
        rows = table.read()
        if rows.empty:
            raise InvalidInput("The table has no rows.", "Register it when it holds data.")
        content = {
            "source": table.source.model_dump(mode="json", exclude_none=True),
            "dictionary": json.loads(table.dictionary.to_json()),
            "drop_unlisted": table.drop_unlisted,
        }
        name, entry = table.dictionary.table.name, json.dumps(content, indent=1).encode()
        write_atomically(self._path(name), entry)
        self._note(name, entry, table, rows)
        return len(rows)

    def read(self, name: str) -> pd.DataFrame:
        """The whole table in its dictionary's types; its patients are counted anew. Raises InvalidInput."""
        entry, table = self._load(name)
        rows = table.read()
        self._note(name, entry, table, rows)
        return rows

    def patients(self, name: str) -> int | None:
        """How many patients the table had when it was last read; None when that is not known."""
        try:
            note = json.loads(self._note_path(name).read_bytes())
            known = note["entry"] == sha256(self._path(name).read_bytes())
            return int(note["patients"]) if known else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _note(self, name: str, entry: bytes, table: RegisteredTable, rows: pd.DataFrame) -> None:
        """Bound to the entry's bytes, so that a crash cannot leave one table with another's number."""
        patients = int(rows[table.dictionary.table.patient_key].nunique())
        content = json.dumps({"entry": sha256(entry), "patients": patients}).encode()
        write_atomically(self._note_path(name), content)

    def names(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*.json"))

    def get(self, name: str) -> RegisteredTable:
        """Raises InvalidInput when there is no such table."""
        return self._load(name)[1]

    def _load(self, name: str) -> tuple[bytes, RegisteredTable]:
        """Its entry's bytes, and what they say."""
        try:
            entry = self._path(name).read_bytes()
            content = json.loads(entry)
            source = TableSource.model_validate(content["source"])
            dictionary = Dictionary.from_json(json.dumps(content["dictionary"]))
            return entry, RegisteredTable(source, dictionary, bool(content["drop_unlisted"]))
        except FileNotFoundError:
            known = ", ".join(self.names()) or "none"
            raise InvalidInput(f"No table {name!r} is published here.", f"Published are: {known}.") from None
        except (ValueError, KeyError, TypeError, ValidationError):
            raise InvalidInput(f"The registration of table {name!r} is damaged.", "Publish it again.") from None

    def _path(self, name: str) -> Path:
        return self.folder / f"{Path(name).name}.json"

    def _note_path(self, name: str) -> Path:
        return self._path(name).with_suffix(".patients")
