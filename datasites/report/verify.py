"""Checks a study's report for whoever was handed it: without the hospital, without a network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from datasites.audit.entry import Kind
from datasites.audit.export import ENTRY, LEAF
from datasites.audit.read import read_export
from datasites.audit.verify import Finding, Report, verify
from datasites.report.folder import LOG
from datasites.wire.canonical import sha256
from datasites.wire.decision import SignedDecision
from datasites.wire.identity import PublicIdentity, same_fingerprint
from datasites.wire.manifest import MANIFEST_FILE, SIGNATURE_FILE, verify_manifest
from policies.errors import InvalidInput, Refused

MOST_BYTES = 64 * 1024 * 1024  # of one file that is read whole


def verify_folder(folder: Path, others: Sequence[Path] = (), fingerprint: str = "", researcher: str = "") -> Report:
    """What can be checked of a report's folder with its audit log: the log, each decision's signature and that the log
    recorded it, and the manifest's digest and signature.

    others, fingerprint: as `datasites.audit.verify` takes them. researcher: the fingerprint of the researcher's keys.
    Raises InvalidInput for a folder that is no such report.
    """
    log = folder / LOG
    if not log.is_file():
        raise InvalidInput(f"There is no {LOG} in {folder}.", "Ask for a report with its log, or name another folder.")
    report, hospital = verify(log, others, fingerprint), read_export(log).public
    if hospital is None:
        raise InvalidInput(f"{log} does not begin with a hospital's keys.")
    findings = [Finding(f"audit log: {one.what}", one.found, one.good) for one in report.findings]
    manifest, digest = _manifest(folder, researcher)
    decided = {(e.get("study"), e.get("decision")): e.get("document") for e in _entries(log, Kind.DECIDED)}
    decisions = list(_decisions(folder, hospital, digest, decided))
    return Report(report.hospital, report.size, [*findings, *manifest, *decisions])


def _manifest(folder: Path, fingerprint: str) -> tuple[list[Finding], str]:
    what = "what was asked for"
    try:
        data = _read(folder / "study" / MANIFEST_FILE)
        signature = _read(folder / "study" / SIGNATURE_FILE).decode()
        told = json.loads(_read(folder / "keys" / "researcher.json"))
        keys = PublicIdentity.parse(told["email"], told["keys"])
        verify_manifest(data, signature, keys)
    except FileNotFoundError as problem:
        return [Finding(what, f"{Path(problem.filename).name} is not in the folder", False)], ""
    except (ValueError, KeyError, TypeError, Refused, OSError) as problem:
        return [Finding(what, f"it cannot be trusted: {problem}", False)], ""
    asked = Finding(what, f"signed by {keys.email}; digest {sha256(data)}", True)
    shown, whose = keys.fingerprint, "the researcher's keys"
    if not fingerprint:
        return [asked, Finding(whose, f"{shown}; compare it with theirs", True)], sha256(data)
    same = same_fingerprint(fingerprint, shown)
    return [asked, Finding(whose, shown if same else f"{shown}, not the fingerprint you gave", same)], sha256(data)


def _decisions(
    folder: Path, hospital: PublicIdentity, digest: str, decided: dict[tuple[object, object], object]
) -> Iterator[Finding]:
    """Every one that the log recorded for the study has to be there, and none besides."""
    expected = {number: document for (study, number), document in decided.items() if study == digest}
    for path in sorted((folder / "decisions").glob("*.json"), key=lambda one: (len(one.name), one.name)):
        what = f"decisions/{path.name}"
        try:
            data = _read(path)
            signed = SignedDecision.model_validate_json(data)
        except (ValidationError, OSError, ValueError):
            yield Finding(what, "it is no decision: it was changed", False)
            continue
        one = signed.decision
        if not signed.verified(hospital):
            yield Finding(what, f"it is not signed by {hospital.email}: it was changed", False)
        elif one.study != digest:
            yield Finding(what, "it is on another study", False)
        elif expected.pop(one.number, None) != sha256(data):
            yield Finding(what, "the audit log did not record it", False)
        else:
            yield Finding(what, f"{one.verdict} on {one.decided_at:%Y-%m-%d}; signed; the audit log recorded it", True)
    for number in expected:
        yield Finding(f"decision {number}", "the audit log recorded it, but it is not in the folder", False)


def _entries(log: Path, kind: Kind) -> Iterator[dict[str, object]]:
    with log.open("rb") as stream:
        for line in stream:
            if line.startswith(ENTRY):
                try:
                    entry = json.loads(line[len(ENTRY) : line.rindex(LEAF)])
                except (ValueError, RecursionError):
                    continue  # told by the check of the log
                if isinstance(entry, dict) and entry.get("kind") == kind:
                    yield entry


def _read(path: Path) -> bytes:
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path.name} is larger than {MOST_BYTES:,} bytes")
    return path.read_bytes()
