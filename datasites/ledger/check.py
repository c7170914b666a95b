"""The ledger held to the audit log: each row has its entry, and each entry of the budget has its row."""

from __future__ import annotations

import json
from collections.abc import Iterable

from datasites.audit.log import AuditLog
from datasites.ledger.errors import LedgerDamaged
from datasites.ledger.rows import KINDS, Row

_HINT = "Restore the newest state.db, not an older copy; nothing more can be released until then."
_ENTRIES = """
SELECT number, entry FROM audit_entries
WHERE number > ? AND kind IN ('budget_reserved', 'budget_committed', 'budget_refunded')"""


def check_rows(rows: Iterable[Row], audit: AuditLog, expected: int = 1, since: int = 0) -> None:
    """Raises LedgerDamaged. That the audit log itself is whole is for its heads to tell (`datasites.audit.heads`).

    rows: from number `expected` on; all entries behind number `since` are to be theirs.
    """
    entries = {number: json.loads(entry) for number, entry in audit.rows(_ENTRIES, since)}
    for row in rows:
        entry = entries.pop(row.entry, None)
        if row.number != expected or entry is None or _said(entry) != (KINDS[row.step], row.number, row.digest):
            raise LedgerDamaged(f"Row {row.number} of the privacy ledger is not what the audit log recorded.", _HINT)
        expected += 1
    if entries:
        lost = f"{len(entries):,} charge{'s' if len(entries) > 1 else ''}"
        raise LedgerDamaged(f"The privacy ledger lacks {lost} that the audit log recorded.", _HINT)


def _said(entry: dict[str, object]) -> tuple[object, object, object]:
    return entry.get("kind"), entry.get("row"), entry.get("written")
