from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from datasites.audit import witness as audit_witness
from datasites.audit.entry import Kind
from datasites.audit.heads import OwnHeads
from datasites.audit.witness import Witness, witnessed
from datasites.state import State
from datasites.wire import heads
from datasites.wire.heads import Publication
from datasites.wire.identity import Identity
from datasites.wire.merkle import consistency_proof
from datasites.wire.store import Store
from datasites.wire.witness import Verdict
from policies.errors import InvalidInput, Refused
from tests.datasites.audit.conftest import ADA, NORTH, SOUTH

Happen = Callable[[int], None]


@pytest.fixture
def states(tmp_path: Path) -> Iterator[Callable[[str], State]]:
    opened: list[State] = []

    def make(name: str) -> State:
        opened.append(State(tmp_path / f"{name}.db"))
        return opened[-1]

    yield make
    for state in opened:
        state.close()


@pytest.fixture
def south(people: dict[str, Identity], state: State, store: Store) -> Witness:
    """The hospital that looks; its own log is `state`."""
    return Witness(SOUTH, state.audit, store, lambda email: people[email].public)


def grow(log: State, entries: int, word: str = "a") -> None:
    for _ in range(entries):
        log.audit.record(Kind.RUN_STARTED, study=word * 64, round=1)


def forged_publication(hospital: Identity, forged: State, seen: int) -> Publication:
    """What software that was made to lie would show: "proofs" from the size that others have seen."""
    signed = OwnHeads(hospital, forged.audit).sign()
    proof = consistency_proof(seen, signed.head.size, forged.audit.node)
    return Publication.sign(signed, {seen: proof}, hospital)


def kinds(state: State) -> list[str]:
    return [entry["kind"] for entry in state.audit.entries()]


def test_heads_of_others_are_logged_once_and_told(
    south: Witness, north: Identity, state: State, store: Store, states: Callable[[str], State]
) -> None:
    theirs = states("theirs")
    own = OwnHeads(north, theirs.audit)
    south.look()
    assert witnessed(state.audit) == []
    for size in (3, 5):
        grow(theirs, size - theirs.audit.size)
        own.publish(store)
        south.look()
        south.look()
        told = heads.read_witnessed(store, SOUTH, north.public)
        assert told
        assert told.head.size == size
    assert kinds(state) == ["head_seen", "head_seen"]
    entry = state.audit.entries()[-1]
    assert (entry["hospital"], entry["size"], entry["fingerprint"]) == (NORTH, 5, north.public.fingerprint)
    [one] = witnessed(state.audit)
    assert (one.verdict, one.head and one.head.head.root) == (Verdict.CONSISTENT, theirs.audit.root(5).hex())


def test_a_rewritten_history_is_an_alarm_that_stays(
    south: Witness,
    north: Identity,
    state: State,
    store: Store,
    states: Callable[[str], State],
    people: dict[str, Identity],
    caplog: pytest.LogCaptureFixture,
) -> None:
    true, forged = states("true"), states("forged")
    grow(true, 5)
    OwnHeads(north, true.audit).publish(store)
    south.look()
    grow(forged, 9, "b")
    store.delete(*store.names(heads.box(NORTH)))
    liar = forged_publication(north, forged, 5)
    store.put(heads.key(NORTH, 9), liar.model_dump_json().encode())
    with caplog.at_level(logging.ERROR):
        south.look()
        south.look()
    assert [r.message for r in caplog.records] == [
        f"{NORTH} has rewritten its audit log: it signed two histories. Ask its data owner."
    ]
    assert kinds(state) == ["head_seen", "head_alarm"]
    alarm = state.audit.entries()[-1]
    assert (alarm["verdict"], alarm["size"], alarm["root"]) == ("rewritten", 9, forged.audit.root(9).hex())
    grow(true, 5)
    store.delete(*store.names(heads.box(NORTH)))
    OwnHeads(north, true.audit).publish(store)
    again = Witness(SOUTH, state.audit, store, lambda email: people[email].public)
    again.look()
    assert witnessed(state.audit)[0].verdict is Verdict.REWRITTEN


def test_heads_without_proofs_are_told_until_one_comes(
    south: Witness, north: Identity, state: State, store: Store, states: Callable[[str], State]
) -> None:
    theirs = states("theirs")
    grow(theirs, 4)
    OwnHeads(north, theirs.audit).publish(store)
    south.look()
    store.delete(*store.names(heads.box(NORTH)), heads.witnessed_key(SOUTH, NORTH))
    theirs.audit._db.execute("DELETE FROM audit_heads")
    theirs.audit._db.commit()
    grow(theirs, 1)
    own = OwnHeads(north, theirs.audit)
    own.publish(store)
    south.look()
    south.look()
    assert witnessed(state.audit)[0].verdict is Verdict.UNPROVEN
    heads.write_witnessed(store, SOUTH, witnessed(state.audit)[0].head)  # as a look after its restart would
    grow(theirs, 1)
    own.publish(store)
    south.look()
    assert witnessed(state.audit)[0].verdict is Verdict.CONSISTENT
    assert kinds(state) == ["head_seen", "head_alarm", "head_seen"]


@pytest.mark.parametrize("problem", [Refused("no keys"), InvalidInput("too large"), None])
def test_who_has_no_good_keys_is_not_watched(
    state: State, north: Identity, store: Store, states: Callable[[str], State], problem: Exception | None
) -> None:
    def keys_of(email: str) -> None:
        if problem:
            raise problem

    theirs = states("theirs")
    grow(theirs, 1)
    OwnHeads(north, theirs.audit).publish(store)
    Witness(SOUTH, state.audit, store, keys_of).look()
    assert witnessed(state.audit) == []
    assert kinds(state) == []


def test_the_store_cannot_flood_the_log(
    south: Witness, state: State, store: Store, people: dict[str, Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_witness, "_HOSPITALS", 0)
    store.put(heads.key(ADA, 1), b"{}")
    south.look()
    assert kinds(state) == []
    monkeypatch.undo()
    south.look()  # no head of hers can be read, so there is nothing to remember
    assert kinds(state) == []
