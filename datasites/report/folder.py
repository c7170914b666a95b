"""Writes a report: one folder that can be handed on and checked without the hospital.

| file | what |
|---|---|
| report.html | the record, for people |
| assessment.html | a form for an impact assessment or an ethics board, with the facts filled in |
| ro-crate-metadata.json | the record for programs: a Five Safes RO-Crate |
| study/manifest.json, manifest.sig | what was asked for, as its researcher signed it |
| decisions/N.json | the signed decisions, byte for byte as the audit log recorded them |
| keys/hospital.json, researcher.json | the public keys of both, as known here |
| audit.jsonl | the whole audit log (`--no-log` leaves it out) |
| signed.json | the digests of all these files, and whether the record held, signed by the hospital |

Of a whole datasite only report.html, audit.jsonl and signed.json are written.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from datasites.approval.packet.page import page
from datasites.audit.verify import Finding
from datasites.datasite import Datasite
from datasites.report.assessment import assessment
from datasites.report.checks import log_findings, study_findings
from datasites.report.crate import write_crate
from datasites.report.datasite import Period, datasite_document
from datasites.report.record import Record, read_log, read_record
from datasites.report.signed import SIGNED, sign_folder
from datasites.report.statements import FILE, Statements, read_statements
from datasites.report.study import study_document
from datasites.state import now
from datasites.wire.files import write_atomically
from datasites.wire.identity import PublicIdentity
from datasites.wire.manifest import MANIFEST_FILE, SIGNATURE_FILE
from datasites.wire.successions import spelt
from policies.errors import InvalidInput

REPORT, ASSESSMENT, LOG = "report.html", "assessment.html", "audit.jsonl"


@dataclass(frozen=True)
class Written:
    """files: relative to the folder."""

    files: list[str]
    findings: list[Finding]

    @property
    def wrong(self) -> list[Finding]:
        return [one for one in self.findings if not one.good]


def report_study(
    site: Datasite, study: str, folder: Path, statements: Path | None = None, with_log: bool = True
) -> Written:
    """Raises InvalidInput for a study that is not here, a folder that is in use, or statements that cannot be read.
    What does not hold raises nothing: it is told in the report, and in what is returned."""
    said = _statements(site, statements)
    record = read_record(site, study)
    _empty(folder)
    log = _log(site, folder, with_log)
    findings = [*study_findings(site, record), *log]
    at = now()
    files = _evidence(record)
    files[REPORT] = page(study_document(record, findings, said, at), "r").encode()
    files[ASSESSMENT] = page(assessment(record, findings, said, at), "a").encode()
    for source in said.sources:
        files[f"statements/{source.name}"] = source.read_bytes()
    for name, data in files.items():
        write_atomically(folder / name, data)
    there = sorted([*files, *([LOG] if (folder / LOG).exists() else [])])
    write_crate(folder, record, findings, said, at, there)
    there.append("ro-crate-metadata.json")
    sign_folder(site.identity, folder, there, all(one.good for one in findings), record.digest)
    return Written([*sorted(there), SIGNED], findings)


def report_datasite(
    site: Datasite, folder: Path, period: Period, statements: Path | None = None, with_log: bool = True
) -> Written:
    """The same over all studies that the log speaks of in the period."""
    said = _statements(site, statements)
    log, unreadable = read_log(site.state.audit)
    entries = [entry for entry in log if entry in period]
    digests = list(dict.fromkeys(str(entry["study"]) for entry in entries if entry.get("study")))
    records = [read_record(site, digest) for digest in digests]
    _empty(folder)
    findings = _log(site, folder, with_log)
    for record in records:
        named = f"{record.name} {record.digest[:12]}"
        findings += [Finding(f"{named}: {one.what}", one.found, one.good) for one in study_findings(site, record)]
    if unreadable:
        findings.append(Finding("audit log", f"{unreadable:,} of its entries cannot be read", False))
    document = datasite_document(site, entries, records, findings, said, period)
    write_atomically(folder / REPORT, page(document, "d").encode())
    there = [REPORT, *([LOG] if (folder / LOG).exists() else [])]
    sign_folder(site.identity, folder, there, all(one.good for one in findings))
    return Written([*there, SIGNED], findings)


def _statements(site: Datasite, more: Path | None) -> Statements:
    own = site.home.path / FILE
    return read_statements(*([own] if own.exists() else []), *([more] if more else []))


def _empty(folder: Path) -> None:
    """A folder with something in it could leave another report's files beside this one's."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InvalidInput(f"{folder} is not empty.", "Name a new folder for the report.")
    except OSError as error:
        raise InvalidInput(f"Cannot write to {folder}: {error.strerror}.", "Name a new folder.") from None


def _log(site: Datasite, folder: Path, keep: bool) -> list[Finding]:
    if keep:
        return log_findings(site, folder / LOG)
    with tempfile.TemporaryDirectory() as aside:
        return log_findings(site, Path(aside) / LOG)


def _evidence(record: Record) -> dict[str, bytes]:
    files = {f"decisions/{kept.number}.json": kept.document for kept in record.decisions}
    if record.asked:
        files[f"study/{MANIFEST_FILE}"] = record.asked.document
        files[f"study/{SIGNATURE_FILE}"] = record.asked.signature.encode()
    files["keys/hospital.json"] = _keys(record.hospital)
    if record.researcher_keys:
        files["keys/researcher.json"] = _keys(record.researcher_keys)
    return files


def _keys(public: PublicIdentity) -> bytes:
    return json.dumps({"email": public.email, "keys": spelt(public)}, indent=1, sort_keys=True).encode()
