"""Finishes what `kill -9` cut off in Syft's sync, which notes a submission's events and then writes its files one by
one. Syft alone would take the files it had not written yet for deleted ones, and the submission would be lost.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError
from syft.sync.events.file_change_event import FileChangeEvent, FileChangeEventsMessage

from datasites.home import DatasiteHome

log = logging.getLogger(__name__)
_JOBS = Path("app_data") / "job"


def finish_interrupted_sync(home: DatasiteHome, email: str) -> None:
    """To be called before Syft loads its tree. Submissions get the bytes that Syft's events say they have."""
    tree = home.syftbox / email
    with home.syft_tree():
        noted = {event.path_in_datasite: event for event in _events(home.path / f"{home.syftbox.name}-events")}
        for path, event in noted.items():
            if path.is_relative_to(_JOBS / "inbox") and not event.is_deleted and event.content is not None:
                _restore(tree / path, event.content.encode() if isinstance(event.content, str) else event.content)
        for state in (tree / _JOBS / "review").rglob("state.yaml"):
            if state.stat().st_size == 0:
                state.unlink()  # Syft empties it before it writes it; the decision in force is written anew


def _restore(target: Path, content: bytes) -> None:
    if target.is_file() and target.read_bytes() == content:
        return
    log.warning("restoring %s, which a crash cut off", target.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def _events(folder: Path) -> Iterator[FileChangeEvent]:
    """All events, oldest first. A file that was cut off is dropped: its message still lies in the store."""
    messages = []
    for path in folder.glob("*"):
        try:
            messages.append(FileChangeEventsMessage.model_validate_json(path.read_bytes()))
        except ValidationError:
            log.warning("dropping %s, which a crash cut off", path.name)
            path.unlink()
    for message in sorted(messages, key=lambda m: m.timestamp):
        yield from message.events
