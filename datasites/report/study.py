"""A study's record as a document: what happened, who answers for it, and how others can check it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from datasites.approval import private
from datasites.approval.packet.document import Block, Cell, Document, Facts, Paragraph, Section, Table, Tone
from datasites.approval.packet.summary import duration, total_bytes
from datasites.audit.entry import Kind
from datasites.audit.verify import Finding
from datasites.ledger.view import COUNTED, Spend
from datasites.report.record import Record
from datasites.report.statements import ASKED, Statements
from datasites.wire.manifest import Manifest
from datasites.wire.reasons import Reason

MOST = 200  # rows of one table; the export of the audit log has all of them
NOT_SAID = "NOT STATED"
BAD = (
    "THIS RECORD CANNOT BE TRUSTED AS IT STANDS. {wrong} of {all} checks did not hold. "
    "Do not hand it on as a record of what happened: find out what was changed, and by whom."
)
GOOD = "All {all} checks held: signatures, digests, approvals, the privacy ledger and the audit log fit each other."


def study_document(record: Record, findings: Sequence[Finding], statements: Statements, at: datetime) -> Document:
    """at: when it was written."""
    return Document(
        f"Record of study {record.name}-{record.digest[:12]} at {record.title}",
        [
            Section("Does this record hold?", list(standing(findings))),
            Section("In short", [_short(record, at)]),
            Section("The five safes", [_safes(record, statements)]),
            Section("What was asked, and by whom", list(_asked(record))),
            Section("Data that was used", list(_data(record))),
            Section("Decisions", list(_decisions(record))),
            Section("What left, and when", list(_left(record))),
            Section("What was refused, failed or was kept back", list(_refused(record))),
            Section("Privacy spent, and what remains", list(_privacy(record))),
            Section("What only people can say", list(said(statements))),
            Section("What was checked", [checks(findings)]),
            Section("How a third party checks this record", list(_verify(record))),
            Section("What this record does not show", list(_missing(record))),
        ],
    )


def standing(findings: Sequence[Finding]) -> Iterator[Block]:
    """The verdict, and what did not hold."""
    wrong = [one for one in findings if not one.good]
    text = (BAD if wrong else GOOD).format(wrong=len(wrong), all=len(findings))
    yield Paragraph(text, "bad" if wrong else "good")
    if wrong:
        yield checks(wrong)


def checks(findings: Sequence[Finding]) -> Table:
    """Each of them, those that did not hold first."""
    ordered = sorted(findings, key=lambda one: one.good)
    rows = [(one.what, "holds" if one.good else "DOES NOT HOLD", one.found) for one in ordered]
    return table(("Checked", "Result", "Found"), rows, tones=["plain" if one.good else "bad" for one in ordered])


def when(text: object) -> str:
    """A time of the audit log, as people write it; what is none is shown as it stands."""
    try:
        return f"{datetime.fromisoformat(str(text)).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return str(text)


def said(statements: Statements) -> Iterator[Block]:
    yield Paragraph(
        "No program knows these. What stands here was written by people and was not checked; Wardround fills in "
        "nothing, and nothing here says that a law is complied with.",
        "quiet",
    )
    missing = statements.open
    if missing:
        yield Paragraph(f"{len(missing)} of {len(ASKED)} are not stated yet.", "bad")
    rows = [
        (asked.what, statements.said.get(name) or f"{NOT_SAID}: to be said by {asked.who}", asked.where)
        for name, asked in ASKED.items()
    ]
    yield table(("What", "Said by people", "Asked for by"), rows)


def _short(record: Record, at: datetime) -> Facts:
    left, email = record.of(Kind.RELEASED), record.hospital.email
    leaks = sum(int(entry["bytes"]) for entry in left)
    rows = [
        ("Hospital", email if record.title == email else f"{record.title} ({email})"),
        ("Fingerprint of its keys", record.hospital.fingerprint),
        ("Study", record.name),
        ("Digest of all that was asked for", record.digest),
        ("Asked for by", record.researcher),
        ("Decision in force", _in_force(record, at)),
        ("Left the hospital", f"{len(left):,} answers with results, {leaks:,} bytes as sent (encrypted)"),
        ("First and last", f"{when(left[0]['at'])} and {when(left[-1]['at'])}" if left else "nothing left"),
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
        ("Safe settings", _tier(m), "the machine, its disk, its network and its accounts"),
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


def _tier(m: Manifest | None) -> str:
    if m is None:
        return "not known any more"
    if m.asked is not None:
        return "no code of the researcher's: the hospital's own program trained or counted, with noise"
    return "the researcher's code, in a closed room without a network"


def _asked(record: Record) -> Iterator[Block]:
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
            ("Tier", f"{m.tier}: {_tier(m)}"),
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


def _data(record: Record) -> Iterator[Block]:
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


def _decisions(record: Record) -> Iterator[Block]:
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


def _left(record: Record) -> Iterator[Block]:
    left = record.of(Kind.RELEASED)
    if not left:
        yield Paragraph("Nothing left the hospital for this study but, if so, fixed words of refusal.")
    else:
        rows = [
            (
                str(e.get("round")),
                when(e["at"]),
                _task(e),
                f"{int(e['bytes']):,}",
                str(e.get("reply")),
                f"{e['number']:,}",
            )
            for e in left
        ]
        yield table(("Round", "When", "What", "Bytes", "SHA-256 as sent", "Log entry"), rows)
        yield Paragraph(
            "Bytes and digest are of the sealed message, which only the researcher can open. What is in it is not kept "
            "here: the manifest says its names, shapes and types, and the gate let nothing else out.",
            "quiet",
        )
    if shared := record.of(Kind.SHARED):
        yield Paragraph("To other hospitals, which trained with this one without a centre, went after rounds:")
        sent = []
        for neighbour in sorted({str(e.get("to")) for e in shared}):
            theirs = [e for e in shared if e.get("to") == neighbour]
            models = sum(bool(e.get("model")) for e in theirs)
            sent.append((neighbour, f"{models:,}", f"{sum(int(e['bytes']) for e in theirs):,}", when(theirs[-1]["at"])))
        yield table(("Hospital", "Models", "Bytes, sealed", "Last"), sent)
    if record.excerpts:
        yield Paragraph("The data owner also released lines of the study's log. Their text is not repeated here:")
        yield table(
            ("Excerpt", "When", "By", "Lines", "Bytes", "SHA-256 of the signed document"),
            [(str(x.number), when(x.at), x.by, f"{x.lines:,}", f"{x.bytes:,}", x.digest) for x in record.excerpts],
        )


def _task(entry: dict[str, object]) -> str:
    done = [word for name, word in (("fit", "trained"), ("evaluate", "tested")) if entry.get(name)]
    return " and ".join(done) or "neither trained nor tested"


def _refused(record: Record) -> Iterator[Block]:
    told = record.of(Kind.REFUSED, Kind.RUN_FAILED, Kind.RUN_INTERRUPTED)
    if told:
        rows = [
            (str(e.get("round", "")), when(e["at"]), e["kind"].replace("_", " "), reason_text(str(e.get("reason", ""))),
             f"{e['number']:,}")
            for e in told
        ]  # fmt: skip
        yield table(("Round", "When", "What", "What the researcher was told", "Log entry"), rows)
    else:
        yield Paragraph("No round was refused, failed or was interrupted.")
    if record.held:
        rows_held = [
            (str(number), task, reason_text(reason), f"{count:,}")
            for (number, task, reason), count in sorted(record.held.items())
        ]
        yield Paragraph("The gate kept these results back; they lie at the hospital and are not repeated here:")
        yield table(("Round", "Of", "Why", "Results"), rows_held)
    else:
        yield Paragraph("The gate holds no result of this study back.")
    who, count = record.researcher or "its researcher", record.quarantined
    yield Paragraph(f"Messages of {who} that were put aside unread, of all their studies: {count:,}.")


def reason_text(code: str) -> str:
    """The fixed text of a reason code; a code that is none is shown as it stands."""
    try:
        return Reason(code).text if code else ""
    except ValueError:
        return code


def _privacy(record: Record) -> Iterator[Block]:
    budget, m = record.budget, record.manifest
    if m is not None and m.asked is None and not any(d.noise for d in record.decided):
        yield Paragraph(
            "No differential-privacy guarantee: this study runs code of the researcher's without gate noise, and "
            "nothing is charged. What protects patients is the review of that code and the limits on what left.",
            "bad",
        )
    if budget is None:
        yield Paragraph(f"The budget cannot be told: {record.budget_problem or 'the table is not known'}", "bad")
        return
    if budget.limits is None:
        yield Paragraph("The table's policy has no privacy budget, so nothing can be spent of it.")
        return
    own = [one for one in budget.studies if one.who == record.digest]
    mine = own[0] if own else Spend("study", record.digest, 0.0, 0.0, budget.limits.epsilon_per_study, False)
    theirs = [one for one in budget.researchers if one.who == record.researcher]
    named = [("this study", mine), *((f"all studies of {one.who}", one) for one in theirs)]
    rows = [spend_row(who, one) for who, one in [*named, ("all studies of the table", budget.total)]]
    yield table(("Whose", "Epsilon spent", "Counted", "Limit", "Remains"), rows)
    yield Paragraph(f"{COUNTED} Delta is {budget.limits.delta:g}.", "quiet")
    charges = budget.history
    charges = charges[charges["study"] == record.digest]
    rows_of = [
        (str(row.round), when(row.at), str(row.state), str(row.releases)) for row in charges.itertuples(index=False)
    ]
    if rows_of:
        yield table(("Round", "Reserved at", "State", "Released, and with how much noise"), rows_of)


def spend_row(who: str, one: Spend) -> tuple[str, str, str, str, str]:
    limit = "no limit" if one.limit is None else f"{one.limit:g}"
    left = "" if one.left is None else f"{one.left:.3g}"
    return who, f"{one.epsilon:.3g}", f"{one.counted:.3g}", limit, left


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


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]], tones: Sequence[Tone] = ()) -> Table:
    """At most so many rows; what is left out is said."""
    return Table(head, rows[:MOST], tones[:MOST], max(len(rows) - MOST, 0))
