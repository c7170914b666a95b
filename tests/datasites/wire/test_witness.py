from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from datasites.wire import heads
from datasites.wire.heads import Head, Publication, SignedHead
from datasites.wire.identity import Identity
from datasites.wire.merkle import MemoryTree, consistency_proof, leaf_hash
from datasites.wire.store import Store
from datasites.wire.witness import Sight, Verdict, Watch

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Log:
    """A hospital's log in memory, and what it shows of it."""

    def __init__(self, identity: Identity, store: Store, words: str = "true") -> None:
        self.identity, self.store, self.words, self.tree = identity, store, words, MemoryTree()

    def grow(self, size: int) -> None:
        while self.tree.size < size:
            self.tree.add(leaf_hash(f"{self.words} {self.tree.size}".encode()))

    def signed(self, size: int, at: datetime = AT) -> SignedHead:
        self.grow(size)
        head = Head(hospital=self.identity.email, size=size, root=self.tree.root(size).hex(), at=at)
        return SignedHead.sign(head, self.identity)

    def show(self, size: int, *earlier: int, at: datetime = AT) -> SignedHead:
        signed = self.signed(size, at)
        proofs = {m: consistency_proof(m, size, self.tree.node) for m in earlier}
        shown = Publication.sign(signed, proofs, self.identity)
        self.store.put(heads.key(self.identity.email, size), shown.model_dump_json().encode())
        return signed


@pytest.fixture
def store() -> Store:
    return Store(f"memory:///{uuid.uuid4().hex}")


@pytest.fixture
def log(ward: Identity, store: Store) -> Log:
    return Log(ward, store)


def look(log: Log, seen: SignedHead | None = None) -> Sight:
    return Watch(log.store).look(log.identity.public, seen)


def test_nothing_is_there(log: Log) -> None:
    assert look(log) == Sight(Verdict.NOTHING)


def test_a_growing_log_is_followed(log: Log) -> None:
    log.show(3)
    log.show(5, 3)
    seven = log.show(7, 3, 5)
    assert look(log) == Sight(Verdict.CONSISTENT, seven)
    assert look(log, log.signed(3)) == Sight(Verdict.CONSISTENT, seven)
    assert look(log, log.signed(9)).head == log.signed(9)  # the store hides what is newer


def test_each_head_is_read_once_unless_other_bytes_lie_there(log: Log) -> None:
    watch, reads = Watch(log.store), []
    get = log.store.get
    log.store.get = lambda key, *rest: reads.append(key) or get(key, *rest)
    log.show(3)
    seen = watch.look(log.identity.public, None).head
    five = log.show(5, 3)
    seen = watch.look(log.identity.public, seen).head
    assert watch.look(log.identity.public, seen) == Sight(Verdict.CONSISTENT, seen)
    assert [heads.size_of(key) for key in reads] == [3, 5]
    forged = Log(log.identity, log.store, "forged").show(5)
    assert watch.look(log.identity.public, seen) == Sight(Verdict.REWRITTEN, five, forged)
    assert [heads.size_of(key) for key in reads] == [3, 5, 5]


def test_a_missing_proof_is_told_and_the_witness_does_not_move_on(log: Log) -> None:
    seen = log.show(3)
    shown = log.show(5)
    assert look(log, seen) == Sight(Verdict.UNPROVEN, seen, shown)
    later = log.show(7, 3)
    assert look(log, seen) == Sight(Verdict.CONSISTENT, later)


def test_other_roots_of_the_same_size(log: Log) -> None:
    seen = log.show(5)
    forged = Log(log.identity, log.store, "forged").show(5)
    assert look(log, seen) == Sight(Verdict.REWRITTEN, seen, forged)


def test_a_longer_history_that_does_not_continue(log: Log) -> None:
    seen = log.show(5)
    forged = Log(log.identity, log.store, "forged").show(8, 5)
    assert look(log, seen) == Sight(Verdict.REWRITTEN, seen, forged)


def test_a_shorter_history_signed_later(log: Log) -> None:
    seen = log.show(5)
    shorter = log.show(4, at=AT + timedelta(seconds=1))
    assert look(log, seen) == Sight(Verdict.REWRITTEN, seen, shorter)


def test_older_heads_that_are_still_there_are_no_news(log: Log) -> None:
    log.show(4, at=AT - timedelta(seconds=9))
    seen = log.show(5, 4)
    assert look(log, seen) == Sight(Verdict.CONSISTENT, seen)


def test_the_store_alone_cannot_accuse_a_hospital(log: Log, stranger: Identity) -> None:
    seen = log.show(5)
    forged = Log(stranger, log.store, "forged").signed(8)
    accused = forged.model_copy(update={"head": forged.head.model_copy(update={"hospital": log.identity.email})})
    for head in (forged, accused):
        shown = Publication.sign(head, {5: [b"\0" * 32]}, stranger)
        log.store.put(heads.key(log.identity.email, 8), shown.model_dump_json().encode())
        assert look(log, seen) == Sight(Verdict.CONSISTENT, seen)
    honest = Publication.sign(log.signed(9), {5: consistency_proof(5, 9, log.tree.node)}, log.identity)
    broken = honest.model_copy(update={"proofs": {"5": ("00" * 32,)}})
    log.store.put(heads.key(log.identity.email, 9), broken.model_dump_json().encode())
    assert look(log, seen) == Sight(Verdict.CONSISTENT, seen)
