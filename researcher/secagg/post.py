"""The messages of secure sums' steps to hospitals, and their answers, through the store."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from datasites.wire import keys
from datasites.wire.arrays import Arrays
from datasites.wire.identity import Identity
from datasites.wire.limits import ROUND_BYTES
from datasites.wire.manifest import Manifest
from datasites.wire.peers import PinnedPeers
from datasites.wire.rounds import request_digest
from datasites.wire.secagg.messages import SecureReply, SecureRequest, decode_secure_reply, encode_secure
from datasites.wire.store import Store
from policies.errors import Unavailable, WardroundError
from researcher.exchange import pace_of_answers
from researcher.hospital_keys import HospitalKeys


class Post:
    """Of one study."""

    def __init__(self, manifest: Manifest, identity: Identity, peers: PinnedPeers, store: Store) -> None:
        self._study, self._identity, self._store = manifest.digest, identity, store
        self._keys = HospitalKeys(peers, store)

    def ask(
        self, requests: Mapping[str, SecureRequest], arrays: Arrays, seconds: float
    ) -> Iterator[tuple[str, SecureReply, Arrays]]:
        """Posts one message to each hospital, and yields answers as they come, until all are there or `seconds` have
        passed; then what was not answered is withdrawn."""
        digests, places = {}, {}
        for hospital, request in requests.items():
            plaintext = encode_secure(request, arrays)
            digests[hospital] = request_digest(plaintext)
            places[hospital] = keys.round_down(self._study, hospital, request.number)
            self._store.put(places[hospital], self._identity.seal(self._keys.of(hospital), plaintext))
        waiting, until = dict(requests), time.monotonic() + seconds
        pace = pace_of_answers(self._store)
        while waiting:
            found = self._look(waiting, digests)
            for hospital, reply, came in found:
                del waiting[hospital]
                yield hospital, reply, came
            if time.monotonic() >= until:
                break
            if waiting:
                time.sleep(max(0.0, min(pace.wait(), until - time.monotonic())))
        self._store.delete(*places.values())

    def _look(
        self, waiting: Mapping[str, SecureRequest], digests: Mapping[str, str]
    ) -> list[tuple[str, SecureReply, Arrays]]:
        number = next(iter(waiting.values())).number
        try:
            there = {keys.last(key) for key in self._store.names(keys.rounds_up(self._study, number))}
            found = [self._read(h, number, digests[h]) for h in sorted(waiting) if h in there]
        except Unavailable:
            return []
        return [one for one in found if one is not None]

    def _read(self, hospital: str, number: int, digest: str) -> tuple[str, SecureReply, Arrays] | None:
        try:
            raw = self._store.get(keys.round_up(self._study, number, hospital), ROUND_BYTES)
            reply, arrays = decode_secure_reply(self._keys.open(self._identity, hospital, raw or b""))
        except Unavailable:
            raise
        except WardroundError:
            return None  # not the hospital's own word (yet)
        about = (reply.study, reply.number, reply.hospital, reply.request)
        return (hospital, reply, arrays) if about == (self._study, number, hospital, digest) else None
