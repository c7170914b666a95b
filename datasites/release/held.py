"""What the gate did not let out, kept for the owner: the worker's frame as it came, and a note saying why.

A note makes a held output; it is written after the frame, so after a crash there is no note without its frame. A study
that floods the gate fills neither the disk nor the list: then only the audit log tells.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from datasites.runner.replies import Task
from datasites.wire.files import private_folder, write_atomically
from datasites.wire.pieces import Pieces
from datasites.wire.reasons import Reason
from datasites.wire.spool import Buffer
from policies.errors import InvalidInput

MOST_NOTES = 1000
MOST_BYTES = 512 * 1024 * 1024
_NAME = 16


@dataclass(frozen=True)
class HeldOutput:
    """`name` stands for study, round, task and content. `why` names arrays, metrics and limits, never values; the names
    are those that the study's code gave. `kept`: whether the bytes were kept, in the file `NAME.frame`."""

    name: str
    study: str
    round: int
    task: str
    reason: str
    why: tuple[str, ...]
    bytes: int
    kept: bool
    at: str


def hold(
    folder: Path, study: str, number: int, task: Task, frame: Buffer, reason: Reason, why: tuple[str, ...], at: str
) -> HeldOutput:
    """Keeps an output. Keeping the same one twice is harmless."""
    private_folder(folder)
    name = Pieces((f"{study}/{number}/{task}/".encode(), frame)).digest[:_NAME]
    note, blob = folder / f"{name}.json", folder / f"{name}.frame"
    used = sum(path.stat().st_size for path in folder.glob("*.frame") if path != blob)
    kept = used + len(frame) <= MOST_BYTES
    held = HeldOutput(name, study, number, task, reason.value, why, len(frame), kept, at)
    if not note.exists() and len(list(folder.glob("*.json"))) < MOST_NOTES:
        if kept:
            write_atomically(blob, frame)
        write_atomically(note, json.dumps(asdict(held), indent=1).encode())
    return held


def held_outputs(folder: Path) -> list[HeldOutput]:
    """All that are held, oldest first."""
    notes = [json.loads(path.read_bytes()) for path in folder.glob("*.json")] if folder.exists() else []
    found = [HeldOutput(**{**note, "why": tuple(note["why"])}) for note in notes]
    return sorted(found, key=lambda held: (held.at, held.name))


def held_output(folder: Path, name: str) -> HeldOutput:
    """The one of that name. Raises InvalidInput."""
    for held in held_outputs(folder):
        if held.name == name:
            return held
    raise InvalidInput(f"No held output has the name {name!r}.", "List them with: wardround datasite held")
