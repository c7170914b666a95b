"""This hospital's own log, checked as a stranger would check an export of it, and against what was shown before."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from datasites.audit.export import export
from datasites.audit.heads import OwnHeads
from datasites.audit.log import AuditLog
from datasites.audit.verify import Finding, verify
from datasites.wire.identity import Identity
from datasites.wire.store import Store
from policies.errors import Refused, Unavailable


def checked(identity: Identity, audit: AuditLog, store: str, options: Mapping[str, Any]) -> list[Finding]:
    """What anybody would find in an export of this hospital's log as it is now; and whether the log still is what this
    hospital has shown of it, in the store and to other hospitals."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "audit.jsonl"
        export(identity, audit, file)
        found = verify(file, fingerprint=identity.public.fingerprint).findings
    return [*found, as_shown_before(identity, audit, store, options)]


def as_shown_before(identity: Identity, audit: AuditLog, store: str, options: Mapping[str, Any]) -> Finding:
    """Against the heads in the store: this hospital's own, and those that others say they have seen of it."""
    what = "what was shown to others before"
    try:
        OwnHeads(identity, audit).check(Store(store, options))
    except Refused as problem:
        return Finding(what, str(problem), False)
    except Unavailable as problem:
        return Finding(what, f"not checked: {problem}", False)
    except LookupError:
        return Finding(what, "the log's tree of hashes is damaged", False)
    return Finding(what, "this log continues all of it", True)


def studies_named(entries: Iterable[Mapping[str, Any]], study: str) -> list[str]:
    """The digests in the log that a study's name, job name or the beginning of its digest (8 or more characters) can
    stand for; the study itself may no longer be among the submissions."""
    found = set()
    for entry in entries:
        digest, name = entry.get("study", ""), entry.get("name", "")
        if (len(study) >= 8 and digest.startswith(study)) or (name and study in (name, f"{name}-{digest[:12]}")):
            found.add(str(digest))
    return sorted(found)
