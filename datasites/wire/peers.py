"""The peers a participant knows, with their public keys pinned on its own disk.

Syft keeps this list in the shared store, where whoever runs the store could exchange a peer's keys. Here it never
leaves the participant's own folder, and a key once pinned is never replaced silently.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from datasites.wire.files import write_atomically
from datasites.wire.identity import PublicIdentity, same_fingerprint
from policies.errors import InvalidInput, Refused

ACCEPTED, REQUESTED, REJECTED = "accepted", "requested_by_me", "rejected"


class PinnedPeers:
    """A small JSON file `{email: {"state": ..., "public_encryption_bundle": {...}}}` (0600), read anew at each use,
    so that a command line beside a running agent is heeded at once."""

    def __init__(self, path: Path, expected: dict[str, str] | None = None) -> None:
        self.path = path
        self.expected = dict(expected or {})  # email -> fingerprint known beforehand, e.g. from the federation file

    def all(self) -> dict[str, dict[str, Any]]:
        try:
            content = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError:
            raise InvalidInput(f"The list of peers {self.path} is damaged.", "Restore it from a backup.") from None
        return dict(content)

    def accepted(self) -> list[str]:
        return sorted(email for email, entry in self.all().items() if entry.get("state") == ACCEPTED)

    def public(self, email: str) -> PublicIdentity | None:
        """The pinned keys of a peer, or None where none are pinned."""
        document = self.all().get(email, {}).get("public_encryption_bundle")
        return PublicIdentity.parse(email, document) if document else None

    def require(self, email: str) -> PublicIdentity:
        """The pinned keys of a peer; raises Refused where none are pinned."""
        public = self.public(email)
        if public is None:
            raise Refused(f"The keys of {email} are not known here.", "Add them as a peer first.")
        return public

    def check(self, email: str, document: object) -> PublicIdentity:
        """Keys read from the store, if they may stand for `email`. Raises Refused when they differ from what is pinned
        or expected."""
        public = PublicIdentity.parse(email, document)
        pinned = self.public(email)
        expected = pinned.fingerprint if pinned else self.expected.get(email)
        if expected and not same_fingerprint(expected, public.fingerprint):
            raise Refused(
                f"{email} now shows keys with fingerprint {public.fingerprint}, but {expected} was agreed on.",
                "Someone may be impersonating them: telephone them before you go on.",
            )
        return public

    def update(self, email: str, state: str, document: dict[str, Any] | None = None) -> None:
        with self._lock():
            peers = self.all()
            entry = {**peers.get(email, {}), "state": state}
            if document is not None:
                entry["public_encryption_bundle"] = self.check(email, document).document
            write_atomically(self.path, json.dumps({**peers, email: entry}, indent=1, sort_keys=True).encode())

    @contextmanager
    def _lock(self) -> Iterator[None]:
        # the agent and the command line may both change the list
        with self.path.with_suffix(".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
