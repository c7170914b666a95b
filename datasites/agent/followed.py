"""Peers that replace their keys, as the agent follows them: recorded, told to whoever looks after it, and heeded."""

from __future__ import annotations

import logging
import time

from datasites.audit.entry import Kind
from datasites.audit.log import AuditLog
from datasites.audit.witness import note_followed
from datasites.home import DatasiteHome
from datasites.wire.canonical import digest_of
from datasites.wire.connection import ObjectStoreConnection
from datasites.wire.peers import PinnedPeers
from datasites.wire.successions import KeysForked
from policies.errors import Unavailable

log = logging.getLogger(__name__)


class KeyWatch:
    """For the agent's own thread. `look` asks the store for each peer, at most once in so many seconds; in between the
    mailboxes follow by themselves, where a message is not of the keys that are pinned."""

    def __init__(
        self,
        home: DatasiteHome,
        audit: AuditLog,
        peers: PinnedPeers,
        connection: ObjectStoreConnection,
        seconds: float,
    ) -> None:
        self._home, self._audit, self._peers, self._connection = home, audit, peers, connection
        self._seconds = seconds
        self._next = 0.0
        self._known: dict[str, int] = {}  # statements of each peer that are in the log
        self._told: set[str] = set()

    def look(self) -> set[str]:
        """Follows every peer; returns those whose pinned keys have changed, or count no more."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self._seconds
            for email in self._peers.accepted():
                try:
                    self._connection.follow(email)
                except KeysForked:
                    continue  # noted below
                except Unavailable as problem:
                    log.warning("whether peers have replaced their keys could not be seen: %s", problem)
                    break
        return self.noted()

    def noted(self) -> set[str]:
        """The same, of what was followed already."""
        changed = set()
        for email, entry in self._peers.all().items():
            count = len(entry.get("successions", []))
            if count > self._known.get(email, 0):
                for one in note_followed(self._audit, email, self._peers.chain(email)):
                    log.warning(
                        "%s has replaced its keys %s by %s, as those have signed",
                        email,
                        one.old.fingerprint,
                        one.new.fingerprint,
                    )
                    changed.add(email)
                self._known[email] = count
            if entry.get("forked") and email not in self._told:
                self._told.add(email)
                message = digest_of(entry["forked"]["succession"])
                self._audit.record_once(Kind.PEER_KEYS_FORKED, message=message, peer=email)
                log.error("the keys of %s signed two successors: nothing is taken from it. Telephone them", email)
                changed.add(email)
        if changed:
            self._home.sent.unlink(missing_ok=True)  # what was sealed for the earlier keys is sent again
        return changed
