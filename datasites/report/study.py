"""A study's record as a document: what happened, who answers for it, and how others can check it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from datasites.approval.packet.document import Block, Document, Facts, Paragraph, Section, Table
from datasites.audit.entry import Kind
from datasites.audit.verify import Finding
from datasites.report.asked import asked, data, decisions, tier
from datasites.report.common import NOT_SAID, checks, said, standing, when
from datasites.report.record import Record
from datasites.report.released import left, privacy, refused
from datasites.report.statements import ASKED, Statements


def study_document(record: Record, findings: Sequence[Finding], statements: Statements, at: datetime) -> Document:
    """at: when it was written."""
    return Document(
        f"Record of study {record.name}-{record.digest[:12]} at {record.title}",
        [
            Section("Does this record hold?", list(standing(findings))),
            Section("In short", [_short(record, at)]),
            Section("The five safes", [_safes(record, statements)]),
            Section("What was asked, and by whom", list(asked(record))),
            Section("Data that was used", list(data(record))),
            Section("Decisions", list(decisions(record))),
            Section("What left, and when", list(left(record))),
            Section("What was refused, failed or was kept back", list(refused(record))),
            Section("Privacy spent, and what remains", list(privacy(record))),
            Section("What only people can say", list(said(statements))),
            Section("What was checked", [checks(findings)]),
            Section("How a third party checks this record", list(_verify(record))),
            Section("What this record does not show", list(_missing(record))),
        ],
    )


def _short(record: Record, at: datetime) -> Facts:
    answers, email = record.of(Kind.RELEASED), record.hospital.email
    leaks = sum(int(entry["bytes"]) for entry in answers)
    rows = [
        ("Hospital", email if record.title == email else f"{record.title} ({email})"),
        ("Fingerprint of its keys", record.hospital.fingerprint),
        ("Study", record.name),
        ("Digest of all that was asked for", record.digest),
        ("Asked for by", record.researcher),
        ("Decision in force", _in_force(record, at)),
        ("Left the hospital", f"{len(answers):,} answers with results, {leaks:,} bytes as sent (encrypted)"),
        ("First and last", f"{when(answers[0]['at'])} and {when(answers[-1]['at'])}" if answers else "nothing left"),
        ("This record was written", f"{at:%Y-%m-%d %H:%M:%S} UTC"),
    ]
    return Facts(rows)


def _in_force(record: Record, at: datetime) -> str:
    if len(record.decided) < len(record.decisions):
        return "not known: a decision here is not signed by the hospital"
    if not record.decided:
        return "none: nobody has decided"
    last = record.decided[-1]
    if last.expires_at is None:
        return last.verdict
    ended = "until" if last.in_force(at) else "expired at"
    return f"{last.verdict}, for {last.rounds:,} rounds, {ended} {last.expires_at:%Y-%m-%d %H:%M} UTC"


def _safes(record: Record, statements: Statements) -> Table:
    """The Five Safes (Desai, Ritchie and Welpton, 2016): each with what this record shows of it."""
    m = record.manifest
    columns = f"{len(m.columns):,} columns of one table, without the one that names the patient" if m else "not known"
    rows = [
        (
            "Safe projects",
            "purpose, decisions and their limits, signed",
            _open(statements, "legal_basis", "ethics_approval", "necessity"),
        ),
        (
            "Safe people",
            "the researcher's keys, whose fingerprint was compared when they were accepted",
            _open(statements, "researcher_affiliation"),
        ),
        ("Safe settings", tier(m), "the machine, its disk, its network and its accounts"),
        ("Safe data", columns, _open(statements, "data_subjects", "consent")),
        ("Safe outputs", "what left, its size and digest, and what it cost", "whether what left is fit for its use"),
    ]
    return Table(("Safe", "This record shows", "People answer for"), rows)


def _open(statements: Statements, *names: str) -> str:
    """Each with whether somebody has said it."""
    told = []
    for name in names:
        what, answer = ASKED[name].what, "said below" if statements.said.get(name) else NOT_SAID
        told.append(f"{what[0].lower()}{what[1:]} ({answer})")
    return "; ".join(told)


def _verify(record: Record) -> Iterator[Block]:
    yield Paragraph(
        "Whoever has this folder can check it without the hospital and without a network. Get the fingerprint of the "
        "hospital's keys from the hospital by another way: by telephone, or on paper."
    )
    fingerprint = record.hospital.fingerprint
    yield Facts(
        [
            ("All of it at once", f'wardround audit verify-report . --fingerprint "{fingerprint}"'),
            ("The audit log alone", f'wardround audit verify audit.jsonl --fingerprint "{fingerprint}"'),
            ("Against another hospital", "wardround audit verify audit.jsonl --with ITS-EXPORT.jsonl"),
            ("The study's digest, by hand", f"sha256sum study/manifest.json gives {record.digest}"),
            (
                "A decision, by hand",
                "sha256sum decisions/1.json gives the document of its decided entry in audit.jsonl",
            ),
            ("What a hospital sent", "sha256sum of the sealed message, as the store holds it, gives the digest above"),
        ]
    )
    yield Paragraph(
        "audit.jsonl is the whole log: it names other studies, people and times, and nothing of patients. Leave it out "
        "(--no-log) for readers who may not know of those; then only signatures can be checked.",
        "quiet",
    )


def _missing(record: Record) -> Iterator[Block]:
    told = [
        "Whether any law is complied with: this is evidence for people who must judge that.",
        "The values in what left, and any row, count or value of the table.",
        "The table's own bytes: that it was the same at every round is not recorded.",
        "Whether the hospital's own software or machine lied from the start; other hospitals' heads of this log show "
        "whether the log was changed later.",
        "Which kind of closed room (bubblewrap, Landlock) each run had.",
        "What the researcher did with the results.",
    ]
    if record.unreadable:
        told.insert(0, f"{record.unreadable:,} entries of the audit log, which cannot be read any more.")
    for text in told:
        yield Paragraph(text)
