"""The newest comparison of a table with a newer one: what the owner reads, and what of it the metrics tell."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime

from datasites.approval.policy import PolicyBook
from datasites.audit.entry import Kind
from datasites.audit.log import AuditLog
from datasites.catalog.registry import RegisteredTable, Registry
from datasites.catalog.tables import TableSource
from datasites.home import DatasiteHome
from datasites.monitoring.drift import ColumnDrift, Limits, Moved, compare
from datasites.state import now
from datasites.wire.canonical import sha256
from datasites.wire.files import private_folder, write_atomically
from policies.errors import InvalidInput

PSI, KS = 0.2, 0.1  # the usual thresholds of a considerable change


@dataclass(frozen=True)
class DriftReport:
    """`columns`: those that drifted first."""

    table: str
    at: datetime
    columns: tuple[ColumnDrift, ...]

    @property
    def drifted(self) -> list[ColumnDrift]:
        return [one for one in self.columns if one.state == "drifted"]


def check(
    home: DatasiteHome,
    audit: AuditLog,
    table: str,
    newer: TableSource,
    older: TableSource | None = None,
    psi: float = PSI,
    ks: float = KS,
) -> DriftReport:
    """Compares a newer table with the published one, or with an `older` one; keeps the report, and says so in the audit
    log. Raises InvalidInput, naming every column that does not fit the table's dictionary."""
    if not (psi > 0 and ks > 0):
        raise InvalidInput("The thresholds must be above 0.", "Leave them out for 0.2 and 0.1.")
    registered = Registry(home.datasets).get(table)
    policy = PolicyBook(home).get(table)
    least = max(policy.release.min_cohort, policy.data.min_patients)
    sides = [registered if source is None else _as(registered, source) for source in (older, newer)]
    before, after = (side.read() for side in sides)
    if before.empty or after.empty:
        raise InvalidInput("A table without rows cannot be compared.", "Give one that holds data.")
    found = compare(before, after, registered.dictionary, Limits(psi, ks, least, policy.release.least_cell))
    report = DriftReport(table, now(), tuple(found))
    _keep(home, audit, report)
    return report


def _as(registered: RegisteredTable, source: TableSource) -> RegisteredTable:
    return RegisteredTable(source, registered.dictionary, registered.drop_unlisted)


def _keep(home: DatasiteHome, audit: AuditLog, report: DriftReport) -> None:
    content = asdict(report) | {"at": report.at.isoformat(), "salt": secrets.token_hex(16)}  # its digest tells nothing
    data = json.dumps(content, indent=1).encode()
    audit.record(Kind.DRIFT_CHECKED, dataset=report.table, report=sha256(data))
    write_atomically(private_folder(home.drift) / f"{report.table}.json", data)


def last(home: DatasiteHome, table: str) -> DriftReport | None:
    """The newest report of a table; None where there is none that can be read."""
    try:
        content = json.loads((home.drift / f"{table}.json").read_bytes())
        columns = [{**one, "moved": Moved(**one["moved"]) if one["moved"] else None} for one in content["columns"]]
        at = datetime.fromisoformat(content["at"])
        return DriftReport(content["table"], at, tuple(ColumnDrift(**one) for one in columns))
    except (OSError, ValueError, KeyError, TypeError):
        return None
