"""Holds a study's record together: every signature, every digest, and that nothing left without an approval.

Each check is a `Finding`, as the audit log's own are. A record that does not hold is told as such; none of it is left
out for that.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from datasites.audit.checked import as_shown_before
from datasites.audit.entry import Kind
from datasites.audit.export import export
from datasites.audit.verify import Finding, verify
from datasites.datasite import Datasite
from datasites.report.record import Entry, Record
from datasites.wire.identity import PublicIdentity
from datasites.wire.manifest import verify_manifest
from policies.errors import WardroundError

_ANSWERS = (Kind.RELEASED, Kind.REFUSED, Kind.RUN_FAILED)


def log_findings(site: Datasite, export_to: Path) -> list[Finding]:
    """Of the whole audit log, which is exported; and of the privacy ledger, row by row."""
    settings, audit = site.settings, site.state.audit
    found = [as_shown_before(site.identity, audit, settings.store, settings.store_options)]
    try:
        export(site.identity, audit, export_to)
        report = verify(export_to, fingerprint=site.fingerprint)
        found = [*(Finding(f"audit log: {one.what}", one.found, one.good) for one in report.findings), *found]
    except (WardroundError, LookupError, ValueError, sqlite3.DatabaseError) as problem:
        found.append(Finding("audit log", f"it cannot be read as a whole: {problem}", False))
    return [*found, _ledger(site)]


def _ledger(site: Datasite) -> Finding:
    what = "privacy ledger"
    try:
        site.state.ledger.check()
        rows = site.state.audit.rows("SELECT count(*) FROM ledger")[0][0]
    except (WardroundError, ValueError) as problem:
        return Finding(what, str(problem), False)
    return Finding(what, f"{rows:,} rows, each as the audit log recorded it, and none missing", True)


def study_findings(site: Datasite, record: Record) -> list[Finding]:
    """Of all that lies here of one study."""
    found = [_manifest(record, record.researcher_keys), *_code(site, record), *decision_findings(record)]
    found += [_rounds(record), _allowed(record), *_charged(record), *_excerpts(record)]
    if record.held is None:
        found.append(Finding("results that were kept back", "their notes are damaged", False))
    if record.unreadable:
        found.append(Finding("audit log", f"{record.unreadable:,} of its entries cannot be read", False))
    return found


def _manifest(record: Record, researcher: PublicIdentity | None) -> Finding:
    what = "what was asked for"
    if record.asked is None:
        return Finding(what, "its manifest lies here no more; the audit log knows its digest and size", True)
    if record.manifest is None or record.manifest.digest != record.digest:
        return Finding(what, "the manifest is not the one that was decided on: it has another digest", False)
    if researcher is None:
        return Finding(what, f"the keys of {record.researcher} are not known here any more", False)
    try:
        verify_manifest(record.asked.document, record.asked.signature, researcher)
    except ValueError as problem:
        return Finding(what, str(problem), False)
    return Finding(what, f"signed by {record.researcher}, whose keys are {researcher.fingerprint}", True)


def _code(site: Datasite, record: Record) -> Iterator[Finding]:
    """The approved copy, which is all that ever runs."""
    what, approved = "the code that may run", any(d.verdict == "approved" for d in record.decided)
    if approved or (site.home.approved / record.digest).exists():
        try:
            files = site.office.vault.files(record.digest)
        except WardroundError as problem:
            yield Finding(what, str(problem), False)
        else:
            yield Finding(what, f"{len(files):,} files, each with the digest that was signed", True)


def decision_findings(record: Record) -> Iterator[Finding]:
    """Each decision: the hospital's signature, and that the audit log recorded these very bytes."""
    recorded = {entry.get("decision"): entry for entry in record.of(Kind.DECIDED)}
    for kept in record.decisions:
        what, entry = f"decision {kept.number}", recorded.pop(kept.number, None)
        if kept.signed is None or not kept.signed.verified(record.hospital):
            yield Finding(what, f"it is not signed by {record.hospital.email}: it was changed", False)
        elif (kept.signed.decision.study, kept.signed.decision.number) != (record.digest, kept.number):
            yield Finding(what, "it is a decision on something else", False)
        elif entry is None or entry.get("document") != kept.digest:
            yield Finding(what, "the audit log did not record this decision", False)
        else:
            verdict = kept.signed.decision.verdict
            yield Finding(what, f"{verdict}; signed by {record.hospital.email}; entry {entry['number']:,}", True)
    for number in recorded:
        yield Finding(f"decision {number}", "the audit log recorded it, but it is not here any more", False)


def _rounds(record: Record) -> Finding:
    """The answers in the state database against the audit log's entries."""
    what, recorded = "rounds", record.of(*_ANSWERS)
    told = [(e.get("round"), e.get("request"), e.get("reason", "released"), e["kind"]) for e in recorded]
    plain = [(number, request, outcome) for number, request, outcome, _ in told]
    there = [(a.number, a.request, a.outcome) for a in record.answers]
    if plain != there:
        wrong = next((n for n, pair in enumerate(zip(plain, there, strict=False)) if pair[0] != pair[1]), None)
        which = f"answer {wrong + 1:,} differs" if wrong is not None else f"{len(plain):,} against {len(there):,}"
        return Finding(what, f"what is stored is not what the audit log recorded: {which}", False)
    return Finding(what, f"{len(there):,} answered; the audit log recorded the same", True)


def _allowed(record: Record) -> Finding:
    """Whether an approval was in force for each round that left. A round that ran past its approval's end counts by
    when it started."""
    what, trained, left = "approval of what left", 0, 0
    force: Entry = {}
    started: dict[object, str] = {}
    for entry in record.entries:
        if entry["kind"] == Kind.DECIDED:
            force = entry
        elif entry["kind"] == Kind.RUN_STARTED:
            started[entry.get("round")] = str(entry["at"])
        elif entry["kind"] == Kind.SHARED:
            if force.get("verdict") != "approved":
                return Finding(what, f"round {entry.get('round')} went to a neighbour {_problem(force, '', 0)}", False)
        elif entry["kind"] == Kind.RELEASED:
            left, trained = left + 1, trained + bool(entry.get("fit"))
            at = started.get(entry.get("round")) or str(entry["at"])
            if problem := _problem(force, at, trained):
                return Finding(what, f"round {entry.get('round')} left {problem}", False)
    return Finding(what, f"{left:,} rounds left, each within an approval in force", True)


def _problem(force: Entry, at: str, trained: int) -> str:
    if force.get("verdict") != "approved":
        return f"while the study was {force.get('verdict', 'not decided on')}"
    try:
        expired = datetime.fromisoformat(at) >= datetime.fromisoformat(force["expires_at"])
    except (KeyError, ValueError, TypeError):
        return "under an approval whose end cannot be read"
    if expired:
        return "after its approval had expired"
    if trained > int(force.get("rounds", 0)):
        return f"though only {force.get('rounds', 0)} rounds were approved"
    return ""


def _charged(record: Record) -> Iterator[Finding]:
    """Where noise was promised, each round that left is paid for in the privacy ledger."""
    noisy = any(decision.noise for decision in record.decided)
    if record.manifest is None or (record.manifest.asked is None and not noisy):
        return
    paid = {entry.get("round") for entry in record.of(Kind.BUDGET_COMMITTED)}
    owed = sorted(int(entry["round"]) for entry in record.of(Kind.RELEASED) if entry.get("round") not in paid)
    if owed:
        yield Finding("privacy charged", f"round {owed[0]} left, and nothing was charged for it", False)
    else:
        yield Finding("privacy charged", "every round that left was charged", True)


def _excerpts(record: Record) -> Iterator[Finding]:
    recorded = {entry.get("excerpt"): entry.get("document") for entry in record.of(Kind.EXCERPT_RELEASED)}
    there = {kept.number: kept.digest for kept in record.excerpts}
    if recorded != there or not all(kept.verified for kept in record.excerpts):
        yield Finding("log excerpts", "what is stored is not what the audit log recorded, or not signed", False)
    elif there:
        yield Finding("log excerpts", f"{len(there):,}, signed, each as the audit log recorded it", True)
