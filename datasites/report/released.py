"""Of a study's record: what left the hospital, what did not, and the privacy that it cost."""

from __future__ import annotations

from collections.abc import Iterator

from datasites.approval.packet.document import Block, Paragraph
from datasites.audit.entry import Kind
from datasites.ledger.view import COUNTED, Spend
from datasites.report.common import reason_text, spend_row, table, when
from datasites.report.record import Record


def left(record: Record) -> Iterator[Block]:
    answers = record.of(Kind.RELEASED)
    if not answers:
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
            for e in answers
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


def refused(record: Record) -> Iterator[Block]:
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


def privacy(record: Record) -> Iterator[Block]:
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
