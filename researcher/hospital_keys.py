"""The pinned keys of hospitals while rounds run: kept in memory, and followed where a hospital replaces them."""

from __future__ import annotations

import logging
import time

from datasites.wire import protocol, successions
from datasites.wire.identity import Identity, PublicIdentity
from datasites.wire.peers import PinnedPeers
from datasites.wire.spool import MEMORY, Buffer, Spool
from datasites.wire.store import Store
from policies.errors import Refused

log = logging.getLogger(__name__)
_SECONDS = 1.0  # between two looks for a successor of the same hospital's keys


class HospitalKeys:
    def __init__(self, peers: PinnedPeers, store: Store) -> None:
        self._peers, self._store = peers, store
        # reading and checking pinned keys costs more than a round's cryptography
        self._public: dict[str, PublicIdentity] = {}
        self._looked: dict[str, float] = {}

    def of(self, hospital: str) -> PublicIdentity:
        """Raises Refused where none are pinned."""
        if hospital not in self._public:
            self._public[hospital] = self._peers.require(hospital)
        return self._public[hospital]

    def read_chunks(self, hospital: str) -> bool:
        """Whether the hospital's release opens messages that are sealed in chunks. Raises Unavailable."""
        return protocol.of(self._store, self.of(hospital)).most >= protocol.CHUNKS

    def open(self, identity: Identity, hospital: str, envelope: Buffer, spool: Spool = MEMORY) -> Buffer:
        """An answer; one that was sealed before the hospital replaced its keys is still good. Raises Refused, of which
        the next try may make another thing; KeysForked; Unavailable."""
        try:
            return identity.open_large(self.of(hospital), envelope, spool, earlier=True)
        except Refused:
            if not self._follow(hospital):
                raise
        return identity.open_large(self.of(hospital), envelope, spool, earlier=True)

    def _follow(self, hospital: str) -> bool:
        now = time.monotonic()
        if now - self._looked.get(hospital, -_SECONDS) < _SECONDS:
            return False
        self._looked[hospital] = now
        new = follow(self._peers, self._store, hospital)
        if new:
            self._public.pop(hospital, None)
        return bool(new)


def follow(peers: PinnedPeers, store: Store, hospital: str) -> successions.Chain:
    """Pins the newest keys that a hospital's own statements lead to, and says so. Raises KeysForked, Unavailable."""
    new = peers.follow(hospital, successions.shown(store, hospital))
    for one in new:
        log.warning(
            "%s has replaced its keys %s by %s, as those have signed",
            hospital,
            one.old.fingerprint,
            one.new.fingerprint,
        )
    return new
