"""A tree of participants over one store, by the wire's real messages: hospitals that pull a model to places of their
own, regional aggregators, and what a thread of each needs. What a hospital does before it answers is tested elsewhere.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from datasites.wire import chunked, keys, protocol
from datasites.wire.arrays import Arrays
from datasites.wire.identity import Identity, PublicIdentity
from datasites.wire.limits import ROUND_BYTES
from datasites.wire.manifest import Manifest
from datasites.wire.peers import ACCEPTED, PinnedPeers
from datasites.wire.pieces import Pieces
from datasites.wire.rounds import EvaluateReport, FitReport, RoundReply, decode_request, encode_reply, request_digest
from datasites.wire.spool import MEMORY, Buffer
from datasites.wire.store import Store
from researcher.exchange import Exchange, StoreExchange
from researcher.journal import Journal


class BoxHospital:
    """Answers the newest message in its box; the same message gets the same answer and is worked on once."""

    def __init__(self, root: Path, name: str, place: float, examples: int, store: Store) -> None:
        self.email, self.place, self.examples = f"do@{name}.org", place, examples
        self.identity = _identity(self.email, root / f"{name}.json")
        self.store = store
        protocol.publish(store, self.identity)
        self._answers: dict[str, Buffer] = {}
        self.silent = False

    @property
    def trained(self) -> int:
        """How many messages it has worked on."""
        return len(self._answers)

    def step(self, study: str, researcher: PublicIdentity) -> None:
        for key in reversed(self.store.names(keys.rounds_down(study, self.email))):
            raw = self.store.get(key, ROUND_BYTES)
            if raw is None or self.silent:
                return
            plaintext = self.identity.open(researcher, raw)
            digest = request_digest(plaintext)
            if digest not in self._answers:
                self._answers[digest] = self._sealed(researcher, self._reply(plaintext), chunked.Message.parse(raw))
            self.store.put(keys.round_up(study, int(keys.last(key)), self.email), self._answers[digest])
            return

    def _sealed(self, researcher: PublicIdentity, reply: bytes, asked: chunked.Message | None) -> Buffer:
        """In chunks for who has written in chunks, as agents do."""
        if asked is None:
            return self.identity.seal(researcher, reply)
        return self.identity.seal_in_chunks(researcher, Pieces((reply,)), MEMORY)

    def train(self, state: Arrays) -> Arrays:
        return {"w": state["w"] + 0.5 * (self.place - state["w"])}

    def _reply(self, plaintext: bytes) -> bytes:
        request, state = decode_request(plaintext)
        metrics = {"mean": float(state["w"].mean())}
        reply = RoundReply(
            study=request.study,
            number=request.number,
            hospital=self.email,
            request=request_digest(plaintext),
            fit=FitReport(num_examples=self.examples, metrics={}) if request.fit else None,
            evaluate=EvaluateReport(num_examples=self.examples, metrics=metrics) if request.evaluate else None,
        )
        return encode_reply(reply, self.train(state) if request.fit else None)


class RegionStudy:
    """The study that one region's hospitals have approved, as their aggregator has it."""

    def __init__(
        self, root: Path, name: str, manifest: Manifest, initial: Arrays, hospitals: list[BoxHospital], store: Store
    ) -> None:
        self.email = f"aggregator@{name}.org"
        self.identity = _identity(self.email, root / f"{name}.json")
        self.manifest = manifest.model_copy(update={"researcher": self.email})
        self.journal, self.hospitals, self._store = Journal(root / name), hospitals, store
        self.journal.start(initial)
        self.peers = PinnedPeers(root / f"{name}-peers.json")
        for hospital in hospitals:
            self.peers.update(hospital.email, ACCEPTED, hospital.identity.public.document)

    def participants(self) -> list[str]:
        return sorted(hospital.email for hospital in self.hospitals)

    def noise(self) -> list[str]:
        return []

    def joined(self) -> list[str]:
        return []

    def label(self, hospital: str) -> str:
        return hospital

    def exchange(self) -> Exchange:
        return StoreExchange(self.manifest, self.identity, self.peers, self._store, self.journal.spool)

    def step(self) -> None:
        for hospital in self.hospitals:
            hospital.step(self.manifest.digest, self.identity.public)


def _identity(email: str, path: Path) -> Identity:
    return Identity.load(email, path) if path.exists() else Identity.create(email, path)


@contextmanager
def at_work(*parts: Callable[[Callable[[], bool]], Any]) -> Iterator[None]:
    """Each part in a thread, given what says that it must stop."""
    over = threading.Event()
    threads = [threading.Thread(target=part, args=(over.is_set,), daemon=True) for part in parts]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def serving(study: RegionStudy) -> Callable[[Callable[[], bool]], None]:
    """A region's hospitals, as a part of `at_work`."""

    def serve(stop: Callable[[], bool]) -> None:
        pause = threading.Event()
        while not stop():
            study.step()
            pause.wait(0.01)

    return serve


def flat(hospitals: list[BoxHospital], state: Arrays, rounds: int) -> np.ndarray:
    """FedAvg by its formula, over all of these hospitals at once."""
    for _ in range(rounds):
        trained = [hospital.train(state)["w"] * hospital.examples for hospital in hospitals]
        state = {"w": np.sum(trained, axis=0) / sum(hospital.examples for hospital in hospitals)}
    return state["w"]
