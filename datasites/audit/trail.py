"""A datasite's audit log as its data owner looks at it in a notebook."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from datasites.audit.export import export
from datasites.audit.log import AuditLog
from datasites.audit.verify import Report, verify
from datasites.wire.identity import Identity
from datasites.wire.shown import Shown, heading, table

_SHOWN = 15
_OWN_COLUMNS = ("number", "at", "kind", "study", "salt")


class AuditTrail(Shown):
    """What was recorded, and proof of it. It can be read and handed on; nothing here can change it."""

    def __init__(self, identity: Identity, log: AuditLog) -> None:
        self._identity, self._log = identity, log

    def entries(self, study: str | None = None, last: int | None = None) -> pd.DataFrame:
        """Oldest first: number, at, kind, study, details. study: a digest; last: so many of the newest."""
        rows = [_row(entry) for entry in self._log.entries(study, last)]
        return pd.DataFrame(rows, columns=["number", "at", "kind", "study", "details"])

    def export(self, path: str | Path) -> int:
        """Writes all of it, with its signed heads, to a file that anybody can verify offline; returns the number of
        entries. It names studies, people and times, and holds no patient's data."""
        return export(self._identity, self._log, Path(path))

    def verify(self) -> Report:
        """What anybody would find who was handed the log now."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "audit.jsonl"
            self.export(file)
            return verify(file, fingerprint=self._identity.public.fingerprint)

    def _facts(self) -> dict[str, object]:
        return {"of": self._identity.email, "entries": self._log.size}

    def _repr_html_(self) -> str:
        newest = self.entries(last=_SHOWN)
        said = f"{self._log.size:,} entries" + (f"; the newest {_SHOWN}" if self._log.size > _SHOWN else "")
        newest["at"] = newest["at"].str.slice(0, 19).str.replace("T", " ")
        newest = newest.rename(columns={"at": "at (UTC)"})
        rows = newest.astype(str).itertuples(index=False)
        return heading(f"Audit log of {self._identity.email}", said) + table(list(newest.columns), rows)


def _row(entry: dict[str, Any]) -> tuple[object, ...]:
    details = ", ".join(f"{name} {_short(value)}" for name, value in entry.items() if name not in _OWN_COLUMNS)
    return entry["number"], entry["at"], entry["kind"], _short(entry.get("study", "")), details


def _short(value: object) -> str:
    text = str(value)
    return text[:12] if len(text) >= 64 else text  # digests
