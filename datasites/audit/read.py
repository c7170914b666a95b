"""Reading an export line by line. Nothing in it is believed: what is wrong becomes a sentence, and reading goes on."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from datasites.audit.entry import Kind
from datasites.audit.export import CONTEXT, ENTRY, FORMAT, LEAF
from datasites.wire.canonical import canonical_json
from datasites.wire.gaps import SignedGap
from datasites.wire.heads import Head, Signature, SignedHead
from datasites.wire.identity import PublicIdentity
from datasites.wire.merkle import MemoryTree, leaf_hash
from datasites.wire.successions import read_spelt
from policies.errors import InvalidInput, Refused

_LEAF = re.compile(re.escape(LEAF) + rb'([0-9a-f]{64})"\}')
_LEAF_BYTES = len(LEAF) + 64 + 2
_SIGNATURE = TypeAdapter(Signature)
_SEEN = (b'"kind":"head_seen"', b'"kind":"head_alarm"')


@dataclass
class Export:
    """`tree` and `seen` hold what stands before the first wrong entry; `seen` are other hospitals' heads."""

    public: PublicIdentity | None = None
    tree: MemoryTree = field(default_factory=MemoryTree)
    heads: list[tuple[str, SignedHead]] = field(default_factory=list)
    peers: dict[str, tuple[PublicIdentity, str]] = field(default_factory=dict)
    seen: list[SignedHead] = field(default_factory=list)
    gaps: list[SignedGap] = field(default_factory=list)
    end: dict[str, Any] | None = None
    wrong_entry: str = ""
    wrong: list[str] = field(default_factory=list)


def read_export(path: Path) -> Export:
    """Raises InvalidInput when the file cannot be read, or is no export."""
    found, digest, number = Export(), hashlib.sha256(), 0
    for number, line in enumerate(_lines(path), 1):
        if found.end is not None:
            found.wrong.append(f"line {number} stands behind the end")
            break
        if line.startswith(ENTRY):
            if not found.wrong_entry:
                found.wrong_entry = _read_entry(found, number, line)
        elif problem := _read_other(found, number, line, digest.hexdigest()):
            found.wrong.append(problem)
        digest.update(line)
    if number == 0:
        raise InvalidInput(f"{path} is empty.", "Make it with: wardround audit export.")
    if found.end is None:
        found.wrong.append("its end is missing, or not signed by the hospital for these very lines")
    return found


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            yield from stream
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read: {error.strerror}.", "Give an export, or a witness's file."
        ) from None


def _read_entry(found: Export, number: int, line: bytes) -> str:
    """Adds the entry to the tree; returns what is wrong with it."""
    expected = found.tree.size + 1
    entry, leaf = line[len(ENTRY) : -_LEAF_BYTES - 1], _LEAF.fullmatch(line[-_LEAF_BYTES - 1 : -1])
    try:
        content = json.loads(entry)
        shown = content["number"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return f"entry {expected:,} (line {number:,}) is damaged"
    value = leaf_hash(entry)
    if leaf is None or not line.endswith(b"\n") or value.hex().encode() != leaf[1]:
        return f"entry {expected:,} (line {number:,}) was changed: it does not have its hash"
    if shown != expected:
        return f"entry {expected:,} (line {number:,}) is wrong: entry {shown!r} stands in its place"
    found.tree.add(value)
    if any(kind in entry for kind in _SEEN) and content.get("kind") in (Kind.HEAD_SEEN, Kind.HEAD_ALARM):
        found.seen += _seen(content)
    return ""


def _seen(content: dict[str, Any]) -> list[SignedHead]:
    try:
        at = TypeAdapter(Head).validate_python(
            {
                "hospital": content["hospital"],
                "size": content["size"],
                "root": content["root"],
                "at": content["head_at"],
            }
        )
        return [SignedHead(head=at, signature=content["signature"])]
    except (KeyError, ValidationError):
        return []


def _read_other(found: Export, number: int, line: bytes, digest: str) -> str:
    """Takes in any other line; returns what is wrong with it. `digest`: of all lines before it."""
    try:
        content = json.loads(line)
        if canonical_json(content) + b"\n" != line:
            raise ValueError
        if number == 1 and content.get("format") == FORMAT:
            found.public = read_spelt(content["hospital"], content["keys"])
        elif content.keys() == {"head", "holder", "signature"}:
            spelt = json.dumps({"head": content["head"], "signature": content["signature"]})
            found.heads.append((str(content["holder"]), SignedHead.model_validate_json(spelt)))
        elif content.keys() == {"gap", "signature"}:
            found.gaps.append(SignedGap.model_validate_json(json.dumps(content)))
        elif content.keys() == {"keys", "peer", "verdict"}:
            public = read_spelt(content["peer"], content["keys"])
            found.peers[public.email] = (public, str(content["verdict"]))
        elif content.keys() == {"export", "signature"}:
            found.end = _end(found, content, number, digest)
        else:
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, ValidationError, Refused):
        return f"line {number:,} is damaged"
    return ""


def _end(found: Export, content: dict[str, Any], number: int, digest: str) -> dict[str, Any] | None:
    said, signature = dict(content["export"]), _SIGNATURE.validate_python(content["signature"])
    public = found.public
    if public is None or not public.verify(CONTEXT, canonical_json(said), signature):
        return None
    true = (said["hospital"], said["lines"], said["sha256"]) == (public.email, number - 1, digest)
    return said if true else None
