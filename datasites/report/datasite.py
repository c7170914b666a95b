"""A datasite over a period, as a record of processing activities (GDPR 30): what was asked, decided and released."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from datasites.approval.packet.document import Block, Document, Facts, Paragraph, Section
from datasites.audit.entry import Kind
from datasites.audit.verify import Finding
from datasites.catalog.registry import Registry
from datasites.datasite import Datasite
from datasites.ledger.view import COUNTED, named
from datasites.report.assessment import safeguards
from datasites.report.common import checks, reason_text, said, spend_row, standing, table, when
from datasites.report.record import Entry, Record
from datasites.report.safeguards import GDPR, HIPAA
from datasites.report.statements import Statements
from policies.errors import WardroundError

_REFUSALS = (
    Kind.REFUSED,
    Kind.RUN_FAILED,
    Kind.OUTPUT_HELD,
    Kind.MESSAGE_QUARANTINED,
    Kind.STUDY_REFUSED,
    Kind.HEAD_ALARM,
)


@dataclass(frozen=True)
class Period:
    """From `since` on, before `until`; None is open."""

    since: datetime | None
    until: datetime | None

    def __contains__(self, entry: object) -> bool:
        try:
            at = datetime.fromisoformat(str(entry["at"]))  # type: ignore[index]
            return (self.since is None or at >= self.since) and (self.until is None or at < self.until)
        except (ValueError, TypeError):
            return True  # what has no time is not left out

    def __str__(self) -> str:
        first = f"from {self.since:%Y-%m-%d %H:%M} UTC" if self.since else "from the beginning"
        return f"{first} {f'until {self.until:%Y-%m-%d %H:%M} UTC' if self.until else 'until now'}"


def datasite_document(
    site: Datasite,
    entries: Sequence[Entry],
    records: Sequence[Record],
    findings: Sequence[Finding],
    statements: Statements,
    period: Period,
) -> Document:
    """entries: of the period. records: of the studies they speak of."""
    name = site.settings.name or site.settings.email
    return Document(
        f"Record of processing at {name}",
        [
            Section("Does this record hold?", list(standing(findings))),
            Section("In short", [_short(site, entries, records, period)]),
            Section("Studies", list(_studies(entries, records))),
            Section("Tables", list(_tables(site))),
            Section("Researchers accepted", list(_peers(entries))),
            Section("What was refused, failed or kept back", list(_refused(entries))),
            Section("Privacy spent, and what remains", list(_budgets(site))),
            Section("What only people can say", list(said(statements))),
            Section("What was checked", [checks(findings)]),
            Section("Map: GDPR", [safeguards(GDPR)]),
            Section("Map: HIPAA Security Rule (45 CFR)", [safeguards(HIPAA)]),
        ],
    )


def _of(entries: Sequence[Entry], *kinds: Kind) -> list[Entry]:
    return [entry for entry in entries if entry["kind"] in kinds]


def _short(site: Datasite, entries: Sequence[Entry], records: Sequence[Record], period: Period) -> Facts:
    left, email = _of(entries, Kind.RELEASED), site.settings.email
    return Facts(
        [
            ("Hospital", f"{site.settings.name} ({email})" if site.settings.name else email),
            ("Fingerprint of its keys", site.fingerprint),
            ("Period", str(period)),
            ("Studies", f"{len(records):,}"),
            ("Decisions", f"{len(_of(entries, Kind.DECIDED)):,}"),
            ("Left the hospital", f"{len(left):,} answers, {sum(int(e['bytes']) for e in left):,} bytes (encrypted)"),
            ("Entries of the audit log", f"{len(entries):,}"),
        ]
    )


def _studies(entries: Sequence[Entry], records: Sequence[Record]) -> Iterator[Block]:
    if not records:
        yield Paragraph("None in this period.")
        return
    rows = []
    for record in records:
        left = [e for e in _of(entries, Kind.RELEASED) if e.get("study") == record.digest]
        m, decided = record.manifest, record.decided
        rows.append(
            (
                f"{record.name} {record.digest[:12]}",
                record.researcher,
                m.purpose if m else "not kept here",
                f"{len(m.columns):,} columns of {m.dataset}" if m else "",
                decided[-1].verdict if decided else "waiting",
                f"{decided[-1].expires_at:%Y-%m-%d}" if decided and decided[-1].expires_at else "",
                f"{len(left):,} answers, {sum(int(e['bytes']) for e in left):,} bytes",
            )
        )
    head = ("Study", "For", "Purpose, in their words", "Data", "Decision in force", "Approved until", "Left")
    yield table(head, rows)
    yield Paragraph("The whole record of one study: wardround report STUDY --out FOLDER", "quiet")


def _tables(site: Datasite) -> Iterator[Block]:
    registry = Registry(site.home.datasets)
    rows = []
    for name in registry.names():
        try:
            dictionary = registry.get(name).dictionary
            high = sum(column.sensitivity == "high" for column in dictionary.columns.values())
            told = (
                dictionary.table.title,
                f"{len(dictionary.columns):,}, {high:,} of high sensitivity",
                dictionary.digest,
            )
        except WardroundError as problem:
            told = (str(problem), "", "")
        try:
            policy = site.policy(name)
            rows.append((name, *told, f"{policy.title} ({policy.digest[:12]})"))
        except WardroundError as problem:
            rows.append((name, *told, str(problem)))
    yield table(("Table", "What it is", "Columns", "Digest of its dictionary", "Policy in force now"), rows)


def _peers(entries: Sequence[Entry]) -> Iterator[Block]:
    rows = [(str(e.get("peer")), when(e["at"]), str(e.get("fingerprint"))) for e in _of(entries, Kind.PEER_ACCEPTED)]
    yield table(("Who", "When", "Fingerprint that was compared"), rows) if rows else Paragraph("None in this period.")


def _refused(entries: Sequence[Entry]) -> Iterator[Block]:
    rows = [
        (
            f"{e['number']:,}",
            when(e["at"]),
            e["kind"].replace("_", " "),
            str(e.get("study", ""))[:12] or str(e.get("peer", e.get("hospital", ""))),
            reason_text(str(e.get("reason", ""))),
        )
        for e in _of(entries, *_REFUSALS)
    ]
    yield table(("Log entry", "When", "What", "Of", "Reason"), rows) if rows else Paragraph("Nothing in this period.")


def _budgets(site: Datasite) -> Iterator[Block]:
    rows = []
    for name in Registry(site.home.datasets).names():
        try:
            budget = site.budget(name)
        except WardroundError as problem:
            yield Paragraph(f"{name}: {problem}", "bad")
            continue
        if budget.limits is None:
            yield Paragraph(f"The policy of {name} has no privacy budget: nothing can be spent of it.")
            continue
        everybody = (budget.total, *budget.researchers, *budget.studies)
        rows += [(name, *spend_row(named(one), one)) for one in everybody]
    if rows:
        yield table(("Table", "Whose", "Epsilon spent", "Counted", "Limit", "Remains"), rows)
        yield Paragraph(f"As it is now, over all time. {COUNTED}", "quiet")
