"""The peers a participant knows, with their public keys pinned on its own disk.

Syft keeps this list in the shared store, where whoever runs the store could exchange a peer's keys. Here it never
leaves the participant's own folder. A key once pinned is replaced only by the successor that it has signed itself (see
`successions`), and never silently.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from datasites.wire import successions
from datasites.wire.files import write_atomically
from datasites.wire.identity import PublicIdentity, same_fingerprint
from datasites.wire.successions import Chain, KeysForked
from policies.errors import InvalidInput, Refused

ACCEPTED, REQUESTED, REJECTED = "accepted", "requested_by_me", "rejected"


class PinnedPeers:
    """A small JSON file `{email: {"state": ..., "public_encryption_bundle": {...}}}` (0600), read anew at each use,
    so that a command line beside a running agent is heeded at once. Where the keys were replaced: `successions`, the
    chain that leads to them; where two successors of the same keys were met: `forked`."""

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
        """The pinned keys of a peer, or None where none are pinned, or two peers claim to be their successor."""
        entry = self.all().get(email, {})
        document = entry.get("public_encryption_bundle")
        if not document or entry.get("forked"):
            return None
        return successions.public_of(email, document, entry.get("successions", []))

    def chain(self, email: str) -> Chain:
        """The statements by which the pinned keys of a peer came to be."""
        return successions.parsed(email, self.all().get(email, {}).get("successions", []))

    def forked(self) -> list[str]:
        """Peers that no message is taken from any more, as their keys signed two successors."""
        return sorted(email for email, entry in self.all().items() if entry.get("forked"))

    def require(self, email: str) -> PublicIdentity:
        """The pinned keys of a peer; raises Refused where none are pinned."""
        public = self.public(email)
        if public is None and email in self.forked():
            raise _fork(email)
        if public is None:
            raise Refused(f"The keys of {email} are not known here.", "Add them as a peer first.")
        return public

    def check(self, email: str, document: object, there: Chain = ()) -> PublicIdentity:
        """Keys read from the store, if they may stand for `email`. Raises Refused when they differ from what is pinned
        or expected, unless the chain `there` leads from those to them."""
        public = PublicIdentity.parse(email, document)
        pinned = self.public(email)
        expected = pinned.fingerprint if pinned else self.expected.get(email)
        followed = bool(there) and same_fingerprint(there[-1].new.fingerprint, public.fingerprint)
        other = bool(expected) and not same_fingerprint(str(expected), public.fingerprint)
        if other and not (followed and successions.leads(there, str(expected))):
            raise Refused(
                f"{email} now shows keys with fingerprint {public.fingerprint}, but {expected} was agreed on.",
                "Someone may be impersonating them: telephone them before you go on.",
            )
        said = [one.model_dump(mode="json") for one in there] if followed else []
        return successions.public_of(email, public.document, said)

    def update(self, email: str, state: str, document: dict[str, Any] | None = None, there: Chain = ()) -> None:
        """there: the chain that lies in the store, for keys that are pinned now."""
        with self._lock():
            peers = self.all()
            entry = {**peers.get(email, {}), "state": state}
            if document is not None:
                checked = self.check(email, document, there)
                entry["public_encryption_bundle"] = checked.document
                if checked.earlier:
                    entry["successions"] = [one.model_dump(mode="json") for one in there]
            self._write({**peers, email: entry})

    def follow(self, email: str, there: Chain) -> Chain:
        """Pins the newest keys that the chain in the store leads to from the pinned ones; returns the new statements.

        Raises KeysForked, and from then on takes nothing from that peer, when the pinned keys, or those before them,
        have signed another successor too.
        """
        with self._lock():
            peers = self.all()
            entry = peers.get(email, {})
            document = entry.get("public_encryption_bundle")
            if not document:
                return ()
            if entry.get("forked"):
                raise _fork(email)
            known = self.chain(email)
            if other := successions.forked(known, there):
                entry = {**entry, "state": REJECTED, "forked": other.model_dump(mode="json")}
                self._write({**peers, email: entry})
                raise _fork(email)
            new = successions.leads(there, PublicIdentity.parse(email, document).fingerprint) or ()
            if new:
                entry = {**entry, "public_encryption_bundle": new[-1].new.document}
                entry["successions"] = [one.model_dump(mode="json") for one in there]
                self._write({**peers, email: entry})
            return new

    def forget(self, email: str) -> PublicIdentity | None:
        """Removes a peer with its pinned keys, which are returned; whoever comes by that address is a stranger."""
        with self._lock():
            peers = self.all()
            entry = peers.pop(email, {})
            self._write(peers)
        document = entry.get("public_encryption_bundle")
        return PublicIdentity.parse(email, document) if document else None

    def _write(self, peers: dict[str, dict[str, Any]]) -> None:
        write_atomically(self.path, json.dumps(peers, indent=1, sort_keys=True).encode())

    @contextmanager
    def _lock(self) -> Iterator[None]:
        # the agent and the command line may both change the list
        with self.path.with_suffix(".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _fork(email: str) -> KeysForked:
    return KeysForked(
        f"The keys of {email} have signed two successors: somebody else has them. Nothing is taken from it any more.",
        "Telephone them. Then wardround datasite distrust, and accept the keys whose fingerprint it reads to you.",
    )
