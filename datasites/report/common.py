"""Pieces that records and reports share: verdicts of checks, people's statements, tables, times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from datasites.approval.packet.document import Block, Cell, Paragraph, Table, Tone
from datasites.audit.verify import Finding
from datasites.ledger.view import Spend
from datasites.report.statements import ASKED, Statements
from datasites.wire.reasons import Reason

MOST = 200  # rows of one table; the export of the audit log has all of them
NOT_SAID = "NOT STATED"
BAD = (
    "THIS RECORD CANNOT BE TRUSTED AS IT STANDS. {wrong} of {all} checks did not hold. "
    "Do not hand it on as a record of what happened: find out what was changed, and by whom."
)
GOOD = "All {all} checks held: signatures, digests, approvals, the privacy ledger and the audit log fit each other."


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


def reason_text(code: str) -> str:
    """The fixed text of a reason code; a code that is none is shown as it stands."""
    try:
        return Reason(code).text if code else ""
    except ValueError:
        return code


def spend_row(who: str, one: Spend) -> tuple[str, str, str, str, str]:
    limit = "no limit" if one.limit is None else f"{one.limit:g}"
    left = "" if one.left is None else f"{one.left:.3g}"
    return who, f"{one.epsilon:.3g}", f"{one.counted:.3g}", limit, left


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]], tones: Sequence[Tone] = ()) -> Table:
    """At most so many rows; what is left out is said."""
    return Table(head, rows[:MOST], tones[:MOST], max(len(rows) - MOST, 0))
