"""The whole log in one file that a third party can verify offline, with nothing but the hospital's fingerprint.

JSON lines, each in canonical form:

| line | what |
|---|---|
| {"format", "hospital", "keys"} | the hospital's public keys: a DID document, or one with what introduced it |
| {"entry": ..., "leaf": ...} | one for each entry, in order, with its leaf hash |
| {"head": ..., "holder": ..., "signature": ...} | signed heads of this log; the holder is the hospital, or a witness |
| {"gap", "signature"} | what the hospital says of entries that it lost, a backup having been put back |
| {"keys", "peer", "verdict"} | another hospital whose heads this log has seen (entries `head_seen`) |
| {"export": {"at", "hospital", "lines", "sha256", "size"}, "signature"} | the end: signed over all lines before it |
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from datasites.audit.gaps import kept_gaps
from datasites.audit.heads import OwnHeads
from datasites.audit.log import AuditLog
from datasites.audit.witness import witnessed
from datasites.wire.canonical import canonical_json
from datasites.wire.identity import Identity
from datasites.wire.successions import spelt
from policies.errors import InvalidInput

FORMAT, CONTEXT = "wardround-audit-1", "audit-export"
ENTRY, LEAF = b'{"entry":', b',"leaf":"'  # what stands before an entry's own bytes, and behind them
_OWN_HEADS = 1000


def export(identity: Identity, audit: AuditLog, path: Path) -> int:
    """Writes the log to `path` (whole or not at all); returns the number of entries. Raises InvalidInput."""
    size = OwnHeads(identity, audit).sign().head.size
    digest, lines = hashlib.sha256(), 0
    try:
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}.", "Choose another place.") from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            for line in _lines(identity, audit, size):
                digest.update(line)
                stream.write(line)
                lines += 1
            stream.write(_end(identity, size, lines, digest.hexdigest()))
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return size


def _lines(identity: Identity, audit: AuditLog, size: int) -> Iterator[bytes]:
    yield _line({"format": FORMAT, "hospital": identity.email, "keys": spelt(identity.public)})
    for entry, leaf in audit.lines(size):
        yield ENTRY + entry + LEAF + leaf.hex().encode() + b'"}\n'
    kept = OwnHeads(identity, audit).kept()
    own = [one for holder, one in kept if holder == identity.email and one.head.size <= size]
    # a command that was running while the keys were replaced may have signed with the old ones still
    own = [one for one in own if one.verified(identity.public)][-_OWN_HEADS:]
    for signed in own:
        yield _line({**signed.model_dump(mode="json"), "holder": identity.email})
    for holder, signed in kept:
        if holder != identity.email and signed.head.size <= size:
            yield _line({**signed.model_dump(mode="json"), "holder": holder})
    for one in kept_gaps(audit):
        if one.gap.kept <= size:
            yield _line(one.model_dump(mode="json"))
    for peer in witnessed(audit):
        yield _line({"keys": spelt(peer.hospital), "peer": peer.hospital.email, "verdict": peer.verdict.value})


def _end(identity: Identity, size: int, lines: int, digest: str) -> bytes:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    said = {"at": at, "hospital": identity.email, "lines": lines, "sha256": digest, "size": size}
    return _line({"export": said, "signature": identity.sign(CONTEXT, canonical_json(said))})


def _line(content: dict[str, Any]) -> bytes:
    return canonical_json(content) + b"\n"
