"""Of a study's record: what was asked for and by whom, which data it used, and who decided."""

from __future__ import annotations

from collections.abc import Iterator

from datasites.approval import private
from datasites.approval.packet.document import Block, Facts, Paragraph, Tone
from datasites.approval.packet.summary import duration, total_bytes
from datasites.audit.entry import Kind
from datasites.report.common import table, when
from datasites.report.record import Record
from datasites.wire.manifest import Manifest


def tier(m: Manifest | None) -> str:
    if m is None:
        return "not known any more"
    if m.asked is not None:
        return "no code of the researcher's: the hospital's own program trained or counted, with noise"
    return "the researcher's code, in a closed room without a network"


def asked(record: Record) -> Iterator[Block]:
    m, received = record.manifest, record.of(Kind.STUDY_RECEIVED)
    keys = record.researcher_keys
    rows = [
        ("Who asked", record.researcher),
        ("Fingerprint of their keys", keys.fingerprint if keys else "not known here any more"),
        ("Arrived", when(received[0]["at"]) if received else "the audit log does not say"),
    ]
    if m is None:
        yield Facts(rows)
        yield Paragraph("The manifest lies here no more, so purpose, columns and limits cannot be told.", "bad")
        return
    yield Facts(
        [
            *rows,
            ("Purpose, in their words", m.purpose),
            ("Tier", f"{m.tier}: {tier(m)}"),
            ("Rounds asked for", f"{m.rounds:,}, each of at most {duration(m.seconds_per_round)}"),
            ("Processes of its code", f"{m.processes:,}, that train together" if m.processes > 1 else "one"),
            ("Could leave, at most", f"{total_bytes(m):,} bytes in all, {m.max_bytes:,} in a round"),
            ("Summed with other hospitals", _summed(m)),
            ("Sent to other hospitals", _shared(m, record.hospital.email)),
            ("Repetition", f"number {m.repetition:,} of study {m.first[:12]}" if m.repetition > 1 else "none"),
        ]
    )
    if m.asked is not None:
        yield Facts(list(private.facts(m).items()))
    if m.files:
        rows_of = [(path, f"{file.size:,}", file.sha256) for path, file in sorted(m.files.items())]
        yield table(("File of code", "Bytes", "SHA-256"), rows_of)


def _summed(m: Manifest) -> str:
    terms = m.secure_aggregation
    if terms is None:
        return "no: the researcher reads this hospital's own results"
    return f"yes: only the sum over at least {terms.threshold} of {len(terms.hospitals)} hospitals can be read"


def _shared(m: Manifest, hospital: str) -> str:
    if m.gossip is None:
        return "no: nothing leaves but to the researcher"
    return f"yes: its model after each round, by itself, to {', '.join(m.gossip.neighbours(hospital)) or 'none'}"


def data(record: Record) -> Iterator[Block]:
    m, dictionary = record.manifest, record.dictionary
    if m is None:
        yield Paragraph("Not known: the manifest lies here no more.", "bad")
        return
    least = next((d.least_patients for d in reversed(record.decided) if d.least_patients is not None), None)
    yield Facts(
        [
            ("Table", f"{m.dataset}: {dictionary.table.title}" if dictionary else m.dataset),
            ("Digest of its dictionary", m.dictionary),
            ("Cohort", "every patient in the table when a round ran; a study cannot choose among them by name"),
            ("Patients", f"at least {least:,}, as the policy demanded" if least else "not recorded"),
            ("Columns read", f"{len(m.columns):,}"),
        ]
    )
    if dictionary is not None and dictionary.digest != m.dictionary:
        yield Paragraph("The table was published anew since, so what its columns mean may have changed.", "bad")
    known = dictionary.columns if dictionary else {}
    rows = []
    for name in m.columns:
        column = known.get(name)
        told = (column.description, column.unit or "", column.sensitivity or "not stated") if column else ("", "", "")
        rows.append((name, *told))
    yield table(("Column", "Meaning", "Unit", "Sensitivity, as the hospital says"), rows)
    yield Paragraph("The number of patients and rows is left out on purpose: it is the hospital's own.", "quiet")


def decisions(record: Record) -> Iterator[Block]:
    policies = {entry.get("decision"): str(entry.get("policy", ""))[:12] for entry in record.of(Kind.DECIDED)}
    rows, signatures = [], []
    for kept in record.decisions:
        if kept.signed is None:
            rows.append((str(kept.number), "", "cannot be read", "", "", ""))
            continue
        d = kept.signed.decision
        limits = f"{d.rounds:,} rounds until {d.expires_at:%Y-%m-%d %H:%M} UTC" if d.expires_at else ""
        who = f"{d.decided_by} (no person: an earlier approval was repeated)" if d.automatic else d.decided_by
        verdict = f"{d.verdict}, policy {policies.get(d.number) or 'not recorded'}"
        rows.append((str(d.number), f"{d.decided_at:%Y-%m-%d %H:%M:%S} UTC", verdict, who, limits, d.reason))
        good = kept.signed.verified(record.hospital)
        signatures.append((f"decisions/{kept.number}.json", "good" if good else "WRONG", kept.signed.signature))
    if not rows:
        yield Paragraph("Nobody has decided on this study.")
        return
    yield table(("Number", "When", "Decision", "By the account", "Limits", "Reason given"), rows)
    tones: list[Tone] = ["plain" if good == "good" else "bad" for _, good, _ in signatures]
    yield table(("Signed document", "Signature", "Ed25519, of the hospital's key"), signatures, tones=tones)
    yield Paragraph(
        "Who decided is the name of an account on the hospital's machine; people must say who that is.", "quiet"
    )
