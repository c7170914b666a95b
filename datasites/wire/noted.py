"""What Syft has noted on this disk that it has received or changed.

It notes a message of events first, and then writes the files they tell of, one by one; at the next start it believes
what is noted. What `kill -9` cut off in between would be lost, so both sides put it right before they log in.
"""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import ValidationError
from syft.sync.events.file_change_event import FileChangeEvent, FileChangeEventsMessage

from datasites.wire.gate import writable
from datasites.wire.home import Home

log = logging.getLogger(__name__)


def events(folder: Path, only: set[str] | None = None) -> list[FileChangeEvent]:
    """All events in `folder`, or those of the files named in `only`, oldest message first. A file that was cut off is
    dropped: its message still lies in the store, or its change is found anew."""
    messages = []
    for path in folder.glob("*"):
        if only is not None and path.name not in only:
            continue
        try:
            messages.append(FileChangeEventsMessage.model_validate_json(path.read_bytes()))
        except ValidationError:
            log.warning("dropping %s, which a crash cut off", path.name)
            path.unlink()
    return [event for message in sorted(messages, key=lambda m: m.timestamp) for event in message.events]


def restore(target: Path, event: FileChangeEvent) -> None:
    """Gives the file the content that the event says it has."""
    content = event.content.encode() if isinstance(event.content, str) else event.content
    if content is None or (target.is_file() and target.read_bytes() == content):
        return
    log.warning("restoring %s, which a crash cut off", target.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def finish_interrupted_fetch(home: Home) -> None:
    """For a researcher, before login: what hospitals have sent is written as noted."""
    noted = {event.path_in_syftbox: event for event in events(home.noted)}
    for path, event in noted.items():
        if not event.is_deleted and writable(home.syftbox, str(path)):
            restore(home.syftbox / path, event)
