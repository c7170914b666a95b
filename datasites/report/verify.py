"""Checks a study's report for whoever was handed it: without the hospital, without a network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from datasites.audit.entry import Kind
from datasites.audit.export import ENTRY, LEAF
from datasites.audit.read import read_export
from datasites.audit.verify import Finding, Report, verify
from datasites.report.folder import LOG
from datasites.report.signed import read_signed
from datasites.wire.canonical import sha256
from datasites.wire.decision import SignedDecision
from datasites.wire.identity import PublicIdentity
from datasites.wire.manifest import MANIFEST_FILE, SIGNATURE_FILE, verify_manifest
from datasites.wire.successions import fits, read_spelt
from policies.errors import InvalidInput, Refused

MOST_BYTES = 64 * 1024 * 1024  # of one file that is read whole


def verify_folder(folder: Path, others: Sequence[Path] = (), fingerprint: str = "", researcher: str = "") -> Report:
    """What can be checked of a study's report: the hospital's signature under all of it, the log, the manifest's digest
    and signature, and each decision's signature and that the log recorded it.

    others, fingerprint: as `datasites.audit.verify` takes them. researcher: the fingerprint of the researcher's keys.
    Raises InvalidInput for a folder that is no such report.
    """
    hospital, log = _hospital(folder), folder / LOG
    contents, findings = read_signed(folder, hospital)
    if contents and contents.study and f"study/{MANIFEST_FILE}" not in contents.files:
        gone = "the hospital keeps it no more, so not checked"
        manifest, digest = [Finding("what was asked for", gone, True)], contents.study
    else:
        manifest, digest = _manifest(folder, researcher)
    if contents and contents.study != digest:
        findings.append(Finding("the study", "the manifest is not that of the study that was reported on", False))
    decided, size = None, 0
    if log.is_file():
        report = verify(log, others, fingerprint)
        size = report.size
        findings += [Finding(f"audit log: {one.what}", one.found, one.good) for one in report.findings]
        findings += _same_keys(log, hospital)
        decided = {(e.get("study"), e.get("decision")): e.get("document") for e in _entries(log, Kind.DECIDED)}
    else:
        findings += [
            *_shown(hospital, fingerprint),
            Finding("audit log", "not in the folder, so not checked", not others),
        ]
    return Report(hospital.email, size, [*findings, *manifest, *_decisions(folder, hospital, digest, decided)])


def _hospital(folder: Path) -> PublicIdentity:
    try:
        return _public(folder / "keys" / "hospital.json")
    except (OSError, ValueError, KeyError, TypeError, Refused):
        raise InvalidInput(f"{folder} is no report of a study.", "Make one with: wardround report STUDY") from None


def _public(path: Path) -> PublicIdentity:
    told = json.loads(_read(path))
    return read_spelt(told["email"], told["keys"])


def _same_keys(log: Path, hospital: PublicIdentity) -> Iterator[Finding]:
    public = read_export(log).public
    if public is None or public.fingerprint != hospital.fingerprint or public.email != hospital.email:
        yield Finding("audit log: keys", "they are not those that the report was signed with", False)


def _shown(hospital: PublicIdentity, fingerprint: str) -> Iterator[Finding]:
    shown = hospital.fingerprint
    if not fingerprint:
        yield Finding("the hospital's keys", f"{shown}; compare it with the hospital's", True)
    else:
        yield Finding("the hospital's keys", *_compared(shown, fits(fingerprint, hospital)))


def _manifest(folder: Path, fingerprint: str) -> tuple[list[Finding], str]:
    what = "what was asked for"
    try:
        data = _read(folder / "study" / MANIFEST_FILE)
        signature = _read(folder / "study" / SIGNATURE_FILE).decode()
        keys = _public(folder / "keys" / "researcher.json")
        verify_manifest(data, signature, keys)
    except FileNotFoundError as problem:
        return [Finding(what, f"{Path(problem.filename).name} is not in the folder", False)], ""
    except (ValueError, KeyError, TypeError, Refused, OSError) as problem:
        return [Finding(what, f"it cannot be trusted: {problem}", False)], ""
    asked = Finding(what, f"signed by {keys.email}; digest {sha256(data)}", True)
    shown, whose = keys.fingerprint, "the researcher's keys"
    if not fingerprint:
        return [asked, Finding(whose, f"{shown}; compare it with theirs", True)], sha256(data)
    return [asked, Finding(whose, *_compared(shown, fits(fingerprint, keys)))], sha256(data)


def _compared(shown: str, said: str | None) -> tuple[str, bool]:
    if said is None:
        return f"{shown}, not the fingerprint you gave", False
    return (f"{shown}; {said}" if said else shown), True


def _decisions(
    folder: Path, hospital: PublicIdentity, digest: str, decided: Mapping[tuple[object, object], object] | None
) -> Iterator[Finding]:
    """Every one that the log recorded for the study has to be there, and none besides. decided: None without a log."""
    expected = {number: document for (study, number), document in (decided or {}).items() if study == digest}
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
        elif decided is not None and expected.pop(one.number, None) != sha256(data):
            yield Finding(what, "the audit log did not record it", False)
        else:
            recorded = "" if decided is None else "; the audit log recorded it"
            yield Finding(what, f"{one.verdict} on {one.decided_at:%Y-%m-%d}; signed{recorded}", True)
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
