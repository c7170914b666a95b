"""One round's traffic: posting the state to hospitals, and taking their answers as they come."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from datasites.wire import keys
from datasites.wire.arrays import Arrays
from datasites.wire.contract import array_problems, metric_problems
from datasites.wire.identity import Identity, PublicIdentity
from datasites.wire.limits import ROUND_BYTES
from datasites.wire.manifest import Manifest
from datasites.wire.peers import PinnedPeers
from datasites.wire.rounds import RoundReply, RoundRequest, decode_reply, encode_request, request_digest
from datasites.wire.store import Store
from policies.errors import Unavailable, WardroundError

_QUICK_SECONDS = 0.002
_GROWTH = 1.05
_LOCAL_WAIT, _REMOTE_WAIT = 0.05, 0.25  # longest wait between two looks, by the kind of store


@dataclass(frozen=True)
class Answer:
    """A hospital's answer. `problem` is a sentence when nothing in it can be used."""

    hospital: str
    reply: RoundReply | None
    parameters: Arrays = field(default_factory=dict)
    metrics: Arrays = field(default_factory=dict)
    problem: str = ""

    @property
    def usable(self) -> bool:
        return not self.problem


class Exchange:
    """The boxes of one study, as its researcher uses them."""

    def __init__(self, manifest: Manifest, identity: Identity, peers: PinnedPeers, store: Store) -> None:
        self._manifest = manifest
        self._study = manifest.digest
        self._identity, self._peers, self._store = identity, peers, store
        self._asked = (False, False)
        self._public: dict[str, PublicIdentity] = {}
        self._longest_wait = _LOCAL_WAIT if store.url.startswith(("file:", "memory:")) else _REMOTE_WAIT

    def post(self, number: int, hospitals: list[str], parameters: Arrays, evaluate: bool, fit: bool) -> dict[str, str]:
        """Posts one message to each hospital; returns the digests by which their answers are known."""
        digests, self._asked = {}, (evaluate, fit)
        for hospital in hospitals:
            request = RoundRequest(study=self._study, number=number, hospital=hospital, evaluate=evaluate, fit=fit)
            plaintext = encode_request(request, parameters)
            sealed = self._identity.seal(self._keys_of(hospital), plaintext)
            self._store.put(keys.round_down(self._study, hospital, number), sealed)
            digests[hospital] = request_digest(plaintext)
        return digests

    def answers(self, number: int, digests: dict[str, str], deadline: float) -> Iterator[Answer]:
        """Yields answers as they come, until all are there or `deadline` (time.monotonic()) has passed.

        A store that is away for a while is waited for.
        """
        waiting, wait = dict(digests), _QUICK_SECONDS
        while waiting:
            found = self._look(number, waiting)
            for answer in found:
                del waiting[answer.hospital]
                yield answer
            if time.monotonic() >= deadline and waiting:
                return
            wait = _QUICK_SECONDS if found else min(wait * _GROWTH, self._longest_wait)
            if waiting:
                time.sleep(wait)

    def _keys_of(self, hospital: str) -> PublicIdentity:
        # pinned keys do not change, and reading and checking them costs more than a round's cryptography
        if hospital not in self._public:
            self._public[hospital] = self._peers.require(hospital)
        return self._public[hospital]

    def withdraw(self, number: int, hospitals: list[str]) -> None:
        """Removes a closed round's messages: a hospital that comes back late must not work on them any more."""
        self._store.delete(*(keys.round_down(self._study, hospital, number) for hospital in hospitals))

    def _look(self, number: int, waiting: dict[str, str]) -> list[Answer]:
        try:
            there = {keys.last(key) for key in self._store.names(keys.rounds_up(self._study, number))}
            found = [self._read(number, h, digest) for h, digest in sorted(waiting.items()) if h in there]
        except Unavailable:
            return []
        return [answer for answer in found if answer is not None]

    def _read(self, number: int, hospital: str, digest: str) -> Answer | None:
        try:
            raw = self._store.get(keys.round_up(self._study, number, hospital), ROUND_BYTES)
            plaintext = self._identity.open(self._keys_of(hospital), raw or b"")
            reply, parameters, metrics = decode_reply(plaintext)
        except Unavailable:
            raise
        except WardroundError:
            return None  # not the hospital's own word (yet): whoever holds the store can put rubbish there
        if (reply.study, reply.number, reply.hospital) != (self._study, number, hospital):
            return None
        if reply.request != digest:
            return Answer(hospital, None, problem="It answered this round for another message.")
        if reply.reason is not None:
            return Answer(hospital, reply, problem=reply.reason.text)
        problems = self._problems(reply, parameters, metrics)
        return Answer(hospital, reply, parameters, metrics, problem="; ".join(problems))

    def _problems(self, reply: RoundReply, parameters: Arrays, metrics: Arrays) -> list[str]:
        """A hospital's answer is held to the contract on this side too: one bad one must not spoil the model."""
        contract = self._manifest.outputs
        asked = (reply.evaluate is not None, reply.fit is not None) == self._asked
        problems = [] if asked else ["It did not do what the round asked for."]
        if reply.fit:
            problems += array_problems(parameters, contract.parameters)
            problems += metric_problems(reply.fit.metrics, contract.fit_metrics)
        if reply.evaluate:
            problems += array_problems(metrics, contract.evaluate_arrays)
            problems += metric_problems(reply.evaluate.metrics, contract.evaluate_metrics)
        return problems
