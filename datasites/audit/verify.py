"""Verifies an export offline: its entries, its signed heads, and what others have seen of the same log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from datasites.audit.read import Export, read_export
from datasites.wire.gaps import SignedGap, covered
from datasites.wire.heads import SignedHead
from datasites.wire.identity import PublicIdentity
from datasites.wire.shown import heading, paragraph, table
from datasites.wire.successions import fits
from datasites.wire.witness import Memory, Verdict
from policies.errors import InvalidInput


@dataclass(frozen=True)
class Finding:
    """One thing that was checked, and what was found."""

    what: str
    found: str
    good: bool


@dataclass(frozen=True)
class Report:
    hospital: str
    size: int
    findings: list[Finding]

    def __repr__(self) -> str:
        verdict = "everything fits" if self.good else "it cannot be trusted as it stands"
        return f"<Report: log of {self.hospital}; {self.size:,} entries; {verdict}>"

    def _repr_html_(self) -> str:
        rows = [(one.what, "good" if one.good else "WRONG", one.found) for one in self.findings]
        verdict = "Everything fits." if self.good else "This log cannot be trusted as it stands."
        return heading(f"Audit log of {self.hospital}") + table(["checked", "", "found"], rows) + paragraph(verdict)

    @property
    def good(self) -> bool:
        return all(finding.good for finding in self.findings)


def verify(path: Path, others: Sequence[Path] = (), fingerprint: str = "") -> Report:
    """Checks everything that can be checked without the hospital, and says what is wrong, first of all which entry.

    others: exports of other hospitals, or researchers' files of heads they have seen (`heads/ADDRESS.json` in their
    home). fingerprint: of the hospital's keys; without it, they are only as good as whoever gave you the file.
    Raises InvalidInput for a file that cannot be read or is none of these.
    """
    export = read_export(path)
    public = export.public
    if public is None:
        raise InvalidInput(f"{path} does not begin with a hospital's keys.", "Make it with: wardround audit export.")
    findings = [_keys(public, fingerprint), _entries(export), _file(export), _heads(export, public)]
    findings += [_gap(export, public, one) for one in export.gaps]
    findings += [_peer(export, email) for email in sorted(export.peers)]
    findings += [_witness(export, public, other) for other in others]
    return Report(public.email, export.tree.size, findings)


def _keys(public: PublicIdentity, fingerprint: str) -> Finding:
    shown = public.fingerprint
    if not fingerprint:
        return Finding("keys", f"{shown}; compare it with the hospital's", True)
    said = fits(fingerprint, public)
    if said is None:
        return Finding("keys", f"{shown}, not the fingerprint you gave", False)
    return Finding("keys", f"{shown}; {said}" if said else shown, True)


def _entries(export: Export) -> Finding:
    if export.wrong_entry:
        return Finding("entries", f"{export.wrong_entry}; the {export.tree.size:,} before it are whole", False)
    return Finding("entries", f"{export.tree.size:,}, without a gap", True)


def _file(export: Export) -> Finding:
    if export.wrong:
        return Finding("file", "; ".join(export.wrong[:3]), False)
    size = export.end["size"] if export.end else 0
    if size != export.tree.size:
        return Finding("file", f"it was signed with {size:,} entries, but {export.tree.size:,} are there", False)
    return Finding("file", "signed by the hospital as a whole", True)


def _heads(export: Export, public: PublicIdentity) -> Finding:
    """Every head in the file: signature, root, and that times do not go back while the log grows."""
    good, last = 0, ""
    for holder, signed in sorted(export.heads, key=lambda one: (one[1].head.size, one[1].head.at)):
        if problem := _head_problem(export, public, signed):
            return Finding("heads", f"the head of {signed.head.size:,} entries held by {holder} {problem}{last}", False)
        good, last = good + 1, f"; the first {signed.head.size:,} entries are as they were signed"
    times = [one.head.at for _, one in sorted(export.heads, key=lambda one: (one[1].head.size, one[1].head.at))]
    if times != sorted(times):
        return Finding("heads", "a head of fewer entries was signed after one of more: the log was rolled back", False)
    if not export.wrong_entry and export.tree.size not in {one.head.size for _, one in export.heads}:
        return Finding("heads", f"none covers all {export.tree.size:,} entries{last}", False)
    return Finding("heads", f"{good:,} signed heads, each the root of the entries before it", True)


def _head_problem(export: Export, public: PublicIdentity, signed: SignedHead) -> str:
    if not signed.verified(public):
        return "is not signed by the hospital"
    if signed.head.size > export.tree.size:
        return "" if export.wrong_entry else "covers entries that are not there"
    if export.tree.root(signed.head.size).hex() != signed.head.root:
        return "does not fit: an entry up to there was rewritten"
    return ""


def _gap(export: Export, public: PublicIdentity, signed: SignedGap) -> Finding:
    """Entries that the hospital itself says are lost. Good: it says so, and what was kept is what it says."""
    gap, what = signed.gap, "a backup was put back"
    if not signed.verified(public):
        return Finding(what, "it is said, but not signed by the hospital", False)
    if gap.kept > export.tree.size or export.tree.root(gap.kept).hex() != gap.root:
        return Finding(what, f"the first {gap.kept:,} entries are not those it says it kept", False)
    told = f"ENTRIES {gap.kept + 1:,} TO {gap.lost:,} OF BEFORE {gap.at:%Y-%m-%d %H:%M} UTC ARE LOST, as it says itself"
    return Finding(what, told, True)


def _peer(export: Export, email: str) -> Finding:
    """What this log has seen of another hospital; its newest signature is checked."""
    public, verdict = export.peers[email]
    seen = [one for one in export.seen if one.head.hospital == email]
    if not seen or not seen[-1].verified(public):
        return Finding(f"its view of {email}", "the head it says it has seen is not signed by that hospital", False)
    rewritten = verdict == Verdict.REWRITTEN
    told = "; it saw TWO HISTORIES signed there" if rewritten else f" ({verdict})"
    return Finding(f"its view of {email}", f"{len(seen):,} heads, up to {seen[-1].head.size:,} entries{told}", True)


def _witness(export: Export, public: PublicIdentity, path: Path) -> Finding:
    """Holds this log to the heads of it that somebody else has seen."""
    who, seen = _read_witness(path, public.email)
    what = f"seen by {who}"
    gaps = [one for one in export.gaps if one.verified(public)]
    lost = [one for one in seen if covered(gaps, one.head.size, one.head.at)]
    seen = [one for one in seen if one not in lost]
    ended = datetime.fromisoformat(export.end["at"]) if export.end else None
    later = [one for one in seen if one.head.size > export.tree.size]
    for one in seen:
        if one in later or export.tree.root(one.head.size).hex() == one.head.root:
            continue
        if not one.verified(public):
            return Finding(what, f"its head of {one.head.size:,} entries is not signed by {public.email}", False)
        return Finding(
            what, f"THE LOG WAS REWRITTEN: {public.email} signed other first {one.head.size:,} entries", False
        )
    missing = [one for one in later if (ended is None or one.head.at <= ended) and one.verified(public)]
    if missing and not export.wrong_entry:
        return Finding(what, f"THE LOG WAS CUT: it had {missing[0].head.size:,} entries before this export", False)
    if not seen and not lost:
        return Finding(what, f"no head of {public.email}", True)
    told = f"{len(seen) - len(later):,} heads agree, {len(later):,} are newer than this file"
    return Finding(what, f"{told}; {len(lost):,} are of what the hospital says it lost" if lost else told, True)


def _read_witness(path: Path, hospital: str) -> tuple[str, list[SignedHead]]:
    try:
        memory = Memory.model_validate_json(path.read_bytes())
        heads = [*memory.heads, *memory.against]
        return memory.witness, [one for one in heads if one.head.hospital == hospital]
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError:
        other = read_export(path)
    if other.public is None:
        raise InvalidInput(f"{path} is neither an export nor a researcher's file of heads.")
    return other.public.email, [one for one in other.seen if one.head.hospital == hospital]
