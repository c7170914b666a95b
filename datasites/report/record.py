"""What a datasite has kept of one study, read as it lies there: nothing is believed yet, and nothing is of patients.

Of what may hold patients' data (excerpts of a study's log, results that were held back) only that it is there, its size
and its digest are read; the log itself and the table are not opened.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from datasites.audit.checked import studies_named
from datasites.audit.entry import Kind
from datasites.audit.log import AuditLog
from datasites.catalog.registry import Registry
from datasites.datasite import Datasite
from datasites.ledger.view import TableBudget
from datasites.release.held import held_outputs
from datasites.state import AnsweredRound
from datasites.wire.canonical import sha256
from datasites.wire.decision import Decision, SignedDecision
from datasites.wire.dictionary import Dictionary
from datasites.wire.excerpt import SignedExcerpt
from datasites.wire.identity import PublicIdentity
from datasites.wire.manifest import MANIFEST_FILE, SIGNATURE_FILE, Manifest
from policies.errors import InvalidInput, WardroundError

Entry = dict[str, Any]
_NUMBERS = {"number", "bytes", "files", "round", "rounds", "decision", "excerpt", "row", "size", "line"}
_TEXTS = {"kind", "at", "study", "name", "researcher", "verdict", "reason", "peer", "request", "reply"}
_SIZED = (Kind.RELEASED, Kind.REFUSED, Kind.RUN_FAILED, Kind.SHARED)
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Asked:
    """What was asked for, as signed by its researcher. approved_copy: from the bytes that may run."""

    document: bytes
    signature: str
    manifest: Manifest
    approved_copy: bool


@dataclass(frozen=True)
class KeptDecision:
    """A decision as it lies in the state database; `signed` is None where it cannot be read."""

    number: int
    document: bytes
    signed: SignedDecision | None

    @property
    def digest(self) -> str:
        """Which the audit log has recorded."""
        return sha256(self.document)


@dataclass(frozen=True)
class KeptExcerpt:
    """Lines of the study's log that its owner released; not their text. `verified`: the hospital signed them."""

    number: int
    digest: str
    lines: int
    bytes: int
    by: str
    at: str
    verified: bool


@dataclass(frozen=True)
class Record:
    """Of one study. entries: of the audit log, oldest first. unreadable: how many entries of the whole log are no
    entries any more. held: how many results the gate kept back, by round, task and reason; None where their notes
    cannot be read."""

    digest: str
    name: str
    researcher: str
    entries: list[Entry]
    unreadable: int
    asked: Asked | None
    decisions: list[KeptDecision]
    answers: list[AnsweredRound]
    excerpts: list[KeptExcerpt]
    held: Counter[tuple[int, str, str]] | None
    quarantined: int
    dictionary: Dictionary | None
    budget: TableBudget | None
    budget_problem: str
    hospital: PublicIdentity
    researcher_keys: PublicIdentity | None
    title: str

    @property
    def manifest(self) -> Manifest | None:
        return self.asked.manifest if self.asked else None

    @property
    def decided(self) -> list[Decision]:
        """All decisions that the hospital signed, oldest first."""
        return [kept.signed.decision for kept in self.decisions if kept.signed and kept.signed.verified(self.hospital)]

    def of(self, *kinds: Kind) -> list[Entry]:
        return [entry for entry in self.entries if entry.get("kind") in kinds]


def read_log(audit: AuditLog) -> tuple[list[Entry], int]:
    """Every entry that can be read, and how many cannot."""
    found, unreadable = [], 0
    for data, _ in audit.lines(audit.size):
        entry = _entry(data)
        if entry is None:
            unreadable += 1
        else:
            found.append(entry)
    return found, unreadable


def _entry(data: bytes) -> Entry | None:
    """None for what was never written as an entry: whoever reads it further may rely on the kinds of its values."""
    try:
        entry = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not {"number", "kind", "at"} <= entry.keys():
        return None
    numbers = all(type(entry[name]) is int for name in _NUMBERS & entry.keys())
    texts = all(isinstance(entry[name], str) for name in _TEXTS & entry.keys())
    study = _DIGEST.fullmatch(entry.get("study", "0" * 64)) if texts else None
    sized = entry["kind"] not in _SIZED or {"bytes", "round"} <= entry.keys()
    return entry if numbers and texts and study and sized else None


def read_record(site: Datasite, study: str) -> Record:
    """`study` is a name, or 8 or more characters of a digest. Raises InvalidInput where it stands for no one study."""
    log, unreadable = read_log(site.state.audit)
    digest = _find(site, log, study.strip())
    entries = [entry for entry in log if entry.get("study") == digest]
    asked = _asked(site, digest)
    received = next((entry for entry in entries if entry["kind"] == Kind.STUDY_RECEIVED), {})
    researcher = asked.manifest.researcher if asked else str(received.get("researcher", ""))
    budget, problem = _budget(site, asked.manifest.dataset) if asked else (None, "")
    return Record(
        digest=digest,
        name=asked.manifest.name if asked else str(received.get("name", digest[:12])),
        researcher=researcher,
        entries=entries,
        unreadable=unreadable,
        asked=asked,
        decisions=_decisions(site, digest),
        answers=site.state.answers(digest),
        excerpts=_excerpts(site, digest),
        held=_held(site, digest),
        quarantined=sum(one["kind"] == Kind.MESSAGE_QUARANTINED and one.get("peer") == researcher for one in log),
        dictionary=_dictionary(site, asked.manifest.dataset) if asked else None,
        budget=budget,
        budget_problem=problem,
        hospital=site.identity.public,
        researcher_keys=site.office.peers.public(researcher),
        title=site.settings.name or site.settings.email,
    )


def _find(site: Datasite, log: list[Entry], study: str) -> str:
    found = set(studies_named(log, study))
    if len(study) >= 8:  # what the log does not tell any more may still be among the decisions
        rows = site.state.audit.rows("SELECT DISTINCT study FROM decisions")
        found |= {digest for (digest,) in rows if digest.startswith(study)}
    if len(found) != 1:
        names = sorted({str(entry["name"]) for entry in log if entry.get("study") in found and "name" in entry})
        several = f" It may be {', '.join(sorted(digest[:12] for digest in found))} ({', '.join(names)})."
        raise InvalidInput(
            f"{study!r} does not stand for one study of this datasite.{several if found else ''}",
            "Give more of its name or digest. See: wardround datasite requests",
        )
    return found.pop()


def _asked(site: Datasite, digest: str) -> Asked | None:
    """The approved copy; or what lies in the inbox, for a study that was never approved."""
    folder = site.home.approved / digest
    try:
        data, signature = (folder / MANIFEST_FILE).read_bytes(), (folder / SIGNATURE_FILE).read_text()
        return Asked(data, signature, Manifest.model_validate_json(data), True)
    except (OSError, ValueError):
        pass
    for one in site.office.submissions():
        if one.digest == digest:
            return Asked(one.manifest.canonical(), one.signature, one.manifest, False)
    return None


def _decisions(site: Datasite, digest: str) -> list[KeptDecision]:
    rows = site.state.audit.rows("SELECT number, document FROM decisions WHERE study = ? ORDER BY number", digest)
    return [KeptDecision(number, text.encode(), _signed(text)) for number, text in rows]


def _signed(text: str) -> SignedDecision | None:
    try:
        return SignedDecision.model_validate_json(text)
    except ValidationError:
        return None


def _excerpts(site: Datasite, digest: str) -> list[KeptExcerpt]:
    rows = site.state.audit.rows("SELECT number, document FROM excerpts WHERE study = ? ORDER BY number", digest)
    return [_excerpt(site.identity.public, number, text) for number, text in rows]


def _excerpt(hospital: PublicIdentity, number: int, text: str) -> KeptExcerpt:
    digest = sha256(text.encode())
    try:
        signed = SignedExcerpt.model_validate_json(text)
    except ValidationError:
        return KeptExcerpt(number, digest, 0, 0, "", "", False)
    one = signed.excerpt
    lines, size = one.last_line - one.first_line + 1, len(one.text.encode())
    return KeptExcerpt(
        number, digest, lines, size, one.released_by, one.released_at.isoformat(), signed.verified(hospital)
    )


def _held(site: Datasite, digest: str) -> Counter[tuple[int, str, str]] | None:
    try:
        kept = [one for one in held_outputs(site.home.held) if one.study == digest]
        return Counter((int(one.round), str(one.task), str(one.reason)) for one in kept)
    except (ValueError, KeyError, TypeError, OSError):
        return None


def _dictionary(site: Datasite, dataset: str) -> Dictionary | None:
    try:
        return Registry(site.home.datasets).get(dataset).dictionary
    except WardroundError:
        return None


def _budget(site: Datasite, dataset: str) -> tuple[TableBudget | None, str]:
    try:
        return site.budget(dataset), ""
    except WardroundError as problem:
        return None, str(problem)
