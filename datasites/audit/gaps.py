"""The gaps that this hospital has owned up to, kept beside its log (see `datasites.wire.gaps`)."""

from __future__ import annotations

import sqlite3

from datasites.audit.log import AuditLog
from datasites.wire.gaps import SignedGap


def kept_gaps(audit: AuditLog) -> tuple[SignedGap, ...]:
    """All of them, oldest first."""
    rows = audit.rows("SELECT document FROM audit_gaps ORDER BY number")
    return tuple(SignedGap.model_validate_json(document) for (document,) in rows)


def keep(db: sqlite3.Connection, signed: SignedGap) -> None:
    """Within the transaction that records it in the log."""
    db.execute("INSERT INTO audit_gaps (document) VALUES (?)", (signed.model_dump_json(),))
