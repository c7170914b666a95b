"""One round's traffic: posting the state to hospitals, and taking their answers as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from datasites.wire import chunked, keys
from datasites.wire.arrays import Arrays
from datasites.wire.compression import read_update, send_state
from datasites.wire.contract import array_problems, metric_problems
from datasites.wire.identity import Identity
from datasites.wire.manifest import Manifest
from datasites.wire.outputs import OutputContract
from datasites.wire.pace import Pace
from datasites.wire.peers import PinnedPeers
from datasites.wire.pieces import Pieces
from datasites.wire.rounds import RoundReply, RoundRequest, decode_reply, most_bytes, request_pieces
from datasites.wire.spool import MEMORY, Buffer, Spool
from datasites.wire.store import Store
from policies.errors import DiskFull, InvalidInput, Unavailable, WardroundError
from researcher.hospital_keys import HospitalKeys

_AT_ONCE, _SMALL_BYTES = 8, 1024 * 1024  # requests to a store far away; no model is larger that travels beside others
_LOCAL_WAIT, _REMOTE_WAIT = 0.05, 5.0  # longest wait between two looks, by the kind of store
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Answer:
    """A hospital's answer. `problem` is a sentence when nothing in it can be used.

    hospitals: how many are added up in it. rounding: of a sum, see `secagg.numbers.Part`.
    """

    hospital: str
    reply: RoundReply | None
    parameters: Arrays = field(default_factory=dict)
    metrics: Arrays = field(default_factory=dict)
    problem: str = ""
    hospitals: int = 1
    rounding: Mapping[str, int] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        return not self.problem


def pace_of_answers(store: Store) -> Pace:
    """How hospitals' answers are waited for."""
    return Pace(_REMOTE_WAIT if store.remote else _LOCAL_WAIT)


@dataclass(frozen=True)
class Ticket:
    """A message that waits for its answer: its number, the digest its answer is known by, and what it asked for."""

    number: int
    digest: str
    evaluate: bool
    fit: bool


class Exchange(Protocol):
    """The way to the hospitals and back: through the store, or to hospitals that are simulated on this machine."""

    def post(
        self, number: int, hospitals: list[str], parameters: Arrays, evaluate: bool, fit: bool
    ) -> dict[str, Ticket]:
        """Posts one message to each hospital. A hospital answers no number below one that it has answered."""

    def answers(self, tickets: Mapping[str, Ticket], seconds: float) -> Iterator[Answer]:
        """Yields answers as they come, until all are there or `seconds` have passed."""

    def withdraw(self, tickets: Mapping[str, Ticket]) -> None:
        """Takes messages back: a hospital that comes back late must not work on them any more."""


class StoreExchange:
    """The boxes of one study in the store, as its researcher uses them. spool: where large messages lie meanwhile."""

    def __init__(
        self, manifest: Manifest, identity: Identity, peers: PinnedPeers, store: Store, spool: Spool = MEMORY
    ) -> None:
        self._manifest, self._spool = manifest, spool
        self._study = manifest.digest
        self._most_bytes = most_bytes(manifest)
        self._identity, self._store = identity, store
        self._keys = HospitalKeys(peers, store)
        self._sent: dict[tuple[str, int], Arrays] = {}  # what compressed answers tell the change of

    def post(
        self, number: int, hospitals: list[str], parameters: Arrays, evaluate: bool, fit: bool
    ) -> dict[str, Ticket]:
        """The same message posted again is the same to the last byte, and gets the same answer."""
        message, read = send_state(self._manifest, parameters)

        def posted(hospital: str) -> Ticket:
            request = RoundRequest(study=self._study, number=number, hospital=hospital, evaluate=evaluate, fit=fit)
            plaintext = request_pieces(request, message)
            self._store.put(keys.round_down(self._study, hospital, number), self._sealed(hospital, plaintext))
            return Ticket(number, plaintext.digest, evaluate, fit)

        tickets = dict(zip(hospitals, self._each(posted, hospitals), strict=True))
        self._sent |= {(hospital, number): read for hospital in hospitals}
        return tickets

    def _sealed(self, hospital: str, plaintext: Pieces) -> Buffer:
        """Raises Refused, Unavailable."""
        public = self._keys.of(hospital)
        if plaintext.size >= chunked.LARGE and self._keys.read_chunks(hospital):
            return self._identity.seal_in_chunks(public, plaintext, self._spool)
        return self._identity.seal(public, plaintext.join())

    def answers(self, tickets: Mapping[str, Ticket], seconds: float) -> Iterator[Answer]:
        """A store that is away for a while is waited for. Raises DiskFull."""
        # from the round's beginning: a look for each of many answers would list all of them each time
        waiting, pace, deadline = dict(tickets), pace_of_answers(self._store), time.monotonic() + seconds
        while waiting:
            for answer in self._look(dict(waiting)):
                del waiting[answer.hospital]
                yield answer
            if time.monotonic() >= deadline and waiting:
                return
            if waiting:
                time.sleep(max(0.0, min(pace.wait(), deadline - time.monotonic())))

    def withdraw(self, tickets: Mapping[str, Ticket]) -> None:
        for hospital, ticket in tickets.items():
            self._sent.pop((hospital, ticket.number), None)
        names = [keys.round_down(self._study, hospital, ticket.number) for hospital, ticket in tickets.items()]
        for _ in self._each(self._store.delete, names):
            pass

    def _each(self, act: Callable[[T], R], over: Sequence[T]) -> Iterator[R]:
        """What `act` gives for each, in order and as it is asked for: models are not held, but by who takes them.

        A request to a store far away is mostly waiting, so there several small ones go at once.
        """
        at_once = _AT_ONCE if self._store.remote and self._manifest.outputs.parameter_bytes <= _SMALL_BYTES else 1
        if at_once == 1:
            yield from map(act, over)
            return
        with ThreadPoolExecutor(at_once) as pool:
            for start in range(0, len(over), at_once):
                yield from pool.map(act, over[start : start + at_once])

    def _look(self, waiting: Mapping[str, Ticket]) -> Iterator[Answer]:
        try:
            there = {
                (number, keys.last(key))
                for number in {ticket.number for ticket in waiting.values()}
                for key in self._store.names(keys.rounds_up(self._study, number))
            }
            found = [(h, ticket) for h, ticket in sorted(waiting.items()) if (ticket.number, h) in there]
            yield from filter(None, self._each(self._read, found))
        except DiskFull:  # of this machine: no waiting helps
            raise
        except Unavailable:
            return

    def _read(self, asked: tuple[str, Ticket]) -> Answer | None:
        hospital, ticket = asked
        try:
            name = keys.round_up(self._study, ticket.number, hospital)
            sealed = self._store.fetch(name, self._most_bytes, self._spool)
            plaintext = self._keys.open(self._identity, hospital, sealed or b"", self._spool)
            del sealed  # a large one is not kept beside what was in it
            reply, parameters, metrics = decode_reply(plaintext)
        except Unavailable:
            raise
        except WardroundError:
            return None  # not the hospital's own word (yet): whoever holds the store can put rubbish there
        if (reply.study, reply.number, reply.hospital) != (self._study, ticket.number, hospital):
            return None
        contract = self._manifest.outputs
        if reply.fit and reply.request == ticket.digest:
            try:
                parameters = read_update(contract, parameters, self._sent[hospital, ticket.number])
            except InvalidInput as problem:
                return Answer(hospital, reply, problem=problem.message)
        return judged(reply, parameters, metrics, ticket, contract)


def judged(reply: RoundReply, parameters: Arrays, metrics: Arrays, ticket: Ticket, contract: OutputContract) -> Answer:
    """What can be used of a hospital's reply.

    It is held to the contract on this side too: one bad answer must not spoil the model.
    """
    if reply.request != ticket.digest:
        return Answer(reply.hospital, None, problem="It answered this round for another message.")
    if reply.reason is not None:
        return Answer(reply.hospital, reply, problem=reply.reason.text)
    asked = (reply.evaluate is not None, reply.fit is not None) == (ticket.evaluate, ticket.fit)
    problems = [] if asked else ["It did not do what the round asked for."]
    if reply.fit:
        problems += array_problems(parameters, contract.parameters)
        problems += metric_problems(reply.fit.metrics, contract.fit_metrics)
    if reply.evaluate:
        problems += array_problems(metrics, contract.evaluate_arrays)
        problems += metric_problems(reply.evaluate.metrics, contract.evaluate_metrics)
    return Answer(reply.hospital, reply, parameters, metrics, problem="; ".join(problems))
