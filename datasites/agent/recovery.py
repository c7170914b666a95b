"""Finishes what a crash, or a store or disk that failed, cut off in Syft's sync.

Syft notes a submission's events and then writes its files one by one: alone it would take the files it had not written
yet for deleted ones, and the submission would be lost. It notes a change of the owner's tree before it sends it: what
was not sent then would never be.
"""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasites.home import DatasiteHome
from datasites.settings import DatasiteSettings
from datasites.wire.files import write_atomically
from datasites.wire.noted import events, restore

if TYPE_CHECKING:
    from syft_rds.client import SyftRDSClient

_JOBS = Path("app_data") / "job"


def open_client(home: DatasiteHome, settings: DatasiteSettings) -> SyftRDSClient:
    """The datasite's Syft client, for the agent or a command beside it. Syft reads its notes anew as it opens, and
    writes what it made of them: a sync at the same time would lose what it notes."""
    from datasites.wire.login import login  # Syft takes a second to import

    with home.syft_tree():
        _finish(home, settings.email)
        return login(settings.email, home, settings.store, "owner", settings.store_options)


def finish_interrupted_sync(home: DatasiteHome, email: str) -> None:
    """After a sync of this process that failed. Submissions get the bytes that Syft's events say they have."""
    with home.syft_tree():
        _finish(home, email)


def _finish(home: DatasiteHome, email: str) -> None:
    tree = home.syftbox / email
    noted = {event.path_in_datasite: event for event in events(_folder(home))}
    for path, event in noted.items():
        if path.is_relative_to(_JOBS / "inbox") and not event.is_deleted:
            restore(tree / path, event)
    for state in (tree / _JOBS / "review").rglob("state.yaml"):
        if state.stat().st_size == 0:
            state.unlink()  # Syft empties it before it writes it; the decision in force is written anew


class Sent:
    """Which of the noted messages have reached the store, with all that they tell: those of a sync that ended well.

    Kept in the datasite's home. For use within `DatasiteHome.syft_tree`.
    """

    def __init__(self, home: DatasiteHome) -> None:
        self._events, self._path = _folder(home), home.sent

    def missing(self) -> set[str]:
        """Noted messages that may not have been sent."""
        return self._noted() - self._sent()

    def mark(self) -> None:
        """All that is noted now has been sent."""
        if self.missing():
            write_atomically(self._path, json.dumps(sorted(self._noted())).encode())

    def forget(self, missing: set[str], hashes: MutableMapping[Path, Any]) -> None:
        """Lets Syft, by its `hashes`, find the changes of these messages anew, so that the next sync sends them.
        Sending what had been sent is harmless."""
        for event in events(self._events, missing):
            path = event.path_in_datasite
            if not event.is_deleted:
                hashes.pop(path, None)
            elif path not in hashes:
                hashes[path] = event.old_hash

    def _noted(self) -> set[str]:
        return {path.name for path in self._events.glob("*")}

    def _sent(self) -> set[str]:
        try:
            return set(json.loads(self._path.read_bytes()))
        except (FileNotFoundError, ValueError):
            return set()


def _folder(home: DatasiteHome) -> Path:
    return home.path / f"{home.syftbox.name}-events"
