"""Where refused messages lie, so that the owner can look at them and nothing is lost."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

from datasites.wire.files import private_folder, write_atomically
from datasites.wire.pieces import Pieces
from datasites.wire.spool import Buffer

log = logging.getLogger(__name__)
_KEEP = 1000  # a flood of bad messages must not fill the disk
_KEEP_BYTES = 256 * 1024 * 1024


def put_aside(folder: Path, sender: str, key: str, data: Buffer, why: str) -> None:
    """Keeps the message as it came (still encrypted) beside a note saying why."""
    private_folder(folder)
    name = Pieces((key.encode(), data)).digest[:32]
    if (folder / f"{name}.json").exists():
        return  # a researcher cannot delete from a datasite's outbox and sees the same message at each sync
    note = {"from": sender, "object": key, "why": why, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    kept = [path.stat().st_size for path in folder.glob("*.message")]
    if len(kept) < _KEEP:
        if sum(kept) + len(data) > _KEEP_BYTES:  # its note tells of it all the same
            note["bytes"], data = f"{len(data)}, not kept: the quarantine is full", b""
        write_atomically(folder / f"{name}.message", data)
        write_atomically(folder / f"{name}.json", json.dumps(note, indent=1).encode())
    log.warning("A message from %s was put aside: it %s.", sender, why)


def notes(folder: Path) -> list[dict[str, str]]:
    """The notes, oldest first."""
    found = [json.loads(path.read_bytes()) for path in folder.glob("*.json")] if folder.exists() else []
    return sorted(found, key=lambda note: note["at"])
