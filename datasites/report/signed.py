"""The hospital's signature under a whole report, so that no page of it can be exchanged on its way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, ValidationError

from datasites.audit.verify import Finding
from datasites.state import now
from datasites.wire.canonical import canonical_json
from datasites.wire.files import write_atomically
from datasites.wire.identity import Identity, PublicIdentity
from datasites.wire.values import Digest, Email, Frozen

CONTEXT, SIGNED = "study-report", "signed.json"
_MOST_BYTES = 16 * 1024 * 1024


class Contents(Frozen):
    """files: SHA-256 by path. holds: whether all checks held when it was written. study: empty for a whole datasite."""

    hospital: Email
    study: Digest | None
    at: str = Field(max_length=40)
    holds: bool
    files: dict[str, Digest]


class SignedContents(Frozen):
    contents: Contents
    signature: str


def sign_folder(identity: Identity, folder: Path, files: Sequence[str], holds: bool, study: str | None = None) -> None:
    """Writes `signed.json` beside the files."""
    digests = {name: digest_of_file(folder / name) for name in sorted(files)}
    contents = Contents(hospital=identity.email, study=study, at=now().isoformat(), holds=holds, files=digests)
    signature = identity.sign(CONTEXT, canonical_json(contents.model_dump(mode="json")))
    signed = {"contents": contents.model_dump(mode="json"), "signature": signature}
    write_atomically(folder / SIGNED, json.dumps(signed, indent=1, sort_keys=True).encode())


def read_signed(folder: Path, hospital: PublicIdentity) -> tuple[Contents | None, list[Finding]]:
    """What the hospital signed, None where it did not; and what is wrong with the files there."""
    what, path = "the report as a whole", folder / SIGNED
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("it is too large")
        signed = SignedContents.model_validate_json(path.read_bytes())
    except (OSError, ValueError, ValidationError):
        return None, [Finding(what, f"{SIGNED} is missing or damaged", False)]
    contents = signed.contents
    payload = canonical_json(contents.model_dump(mode="json"))
    if contents.hospital != hospital.email or not hospital.signed(CONTEXT, payload, signed.signature):
        return None, [Finding(what, f"it is not signed by {hospital.email}", False)]
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {SIGNED}
    wrong = [f"{name} is missing" for name in sorted(contents.files.keys() - there)]
    wrong += [f"{name} was added" for name in sorted(there - contents.files.keys())]
    both = sorted(there & contents.files.keys())
    wrong += [f"{name} was changed" for name in both if digest_of_file(folder / name) != contents.files[name]]
    told = "; ".join(wrong[:5]) or f"{len(both):,} files as {hospital.email} signed them at {contents.at}"
    found = [Finding(what, told, not wrong)]
    if not contents.holds:
        found.append(Finding("what the hospital says", "its own record did not hold when this was written", False))
    return contents, found


def digest_of_file(path: Path) -> str:
    """Hex SHA-256, in parts: a log may be large."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
