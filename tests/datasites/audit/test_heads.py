from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from datasites.audit import heads as audit_heads
from datasites.audit.entry import Kind
from datasites.audit.heads import OwnHeads
from datasites.state import State
from datasites.wire import heads
from datasites.wire.identity import Identity
from datasites.wire.store import Store
from datasites.wire.witness import Verdict, Watch
from policies.errors import InvalidInput, Refused
from tests.datasites.audit.conftest import ADA, NORTH

Happen = Callable[[int], None]


@pytest.fixture
def own(north: Identity, state: State) -> OwnHeads:
    return OwnHeads(north, state.audit)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[State]:
    """Another history of the same hospital."""
    opened = State(tmp_path / "other.db")
    yield opened
    opened.close()


def sizes(store: Store) -> list[int]:
    return [heads.size_of(name) or 0 for name in store.names(heads.box(NORTH))]


def test_an_empty_log_has_no_head(own: OwnHeads, store: Store) -> None:
    assert not own.publish(store)
    with pytest.raises(InvalidInput, match="empty"):
        own.sign()


def test_a_head_is_published_once_and_not_for_heads_of_others(
    own: OwnHeads, state: State, store: Store, happen: Happen
) -> None:
    happen(3)
    assert own.publish(store)
    assert not own.publish(store)
    state.audit.record(Kind.HEAD_SEEN, hospital="do@south.org", size=1)
    assert not own.publish(store)  # or two hospitals would answer each other's heads for ever
    happen(1)
    assert own.publish(store)
    assert sizes(store) == [3, 5]


def test_few_heads_stay_and_a_witness_of_any_of_them_can_follow(
    own: OwnHeads, north: Identity, store: Store, happen: Happen
) -> None:
    watch, seen, early = Watch(store), None, None
    for number in range(60):
        happen(3)
        own.publish(store)
        if number == 3:
            early = watch.look(north.public, None).head
            assert early
            heads.write_witnessed(store, ADA, early)
        if number % 7 == 0:
            sight = watch.look(north.public, seen)
            assert sight.verdict is Verdict.CONSISTENT
            seen = sight.head
    assert len(sizes(store)) < 16 + 9
    assert early
    assert early.head.size not in sizes(store)
    sight = Watch(store).look(north.public, early)  # it was away; its own word in the store made the proof come
    assert (sight.verdict, sight.head and sight.head.head.size) == (Verdict.CONSISTENT, 180)
    store.delete(heads.witnessed_key(ADA, NORTH))
    happen(1)
    own.publish(store)
    assert Watch(store).look(north.public, early).verdict is Verdict.CONSISTENT  # the hospital remembers its witnesses


def test_times_do_not_go_back_when_the_clock_does(
    own: OwnHeads, happen: Happen, monkeypatch: pytest.MonkeyPatch
) -> None:
    happen(1)
    first = own.sign().head.at

    class Earlier(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(UTC) - timedelta(days=3)

    monkeypatch.setattr(audit_heads, "datetime", Earlier)
    happen(1)
    assert own.sign().head.at >= first


class TestCheck:
    def test_a_log_that_went_on_is_good(self, own: OwnHeads, store: Store, happen: Happen) -> None:
        own.check(store)
        happen(5)
        own.publish(store)
        happen(2)
        own.check(store)

    def test_an_older_copy_is_refused(
        self, own: OwnHeads, north: Identity, state: State, store: Store, happen: Happen, tmp_path: Path
    ) -> None:
        happen(5)
        state._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(tmp_path / "state.db", tmp_path / "backup.db")
        happen(5)
        own.publish(store)
        restored = State(tmp_path / "backup.db")
        with pytest.raises(Refused, match=r"rolled back to 5 entries: 10 were published\.") as error:
            OwnHeads(north, restored.audit).check(store)
        assert "newest state.db" in error.value.hint
        for number in range(20):  # nor does it help to let it grow
            restored.audit.record(Kind.RUN_STARTED, study="b" * 64, round=number)
        with pytest.raises(Refused, match="was rewritten: its first 10 entries are not those published"):
            OwnHeads(north, restored.audit).check(store)
        restored.close()

    def test_a_witness_remembers_what_the_store_has_lost(
        self, own: OwnHeads, north: Identity, other: State, store: Store, happen: Happen
    ) -> None:
        happen(5)
        own.publish(store)
        heads.write_witnessed(store, ADA, own.sign())
        store.delete(*store.names(heads.box(NORTH)))
        other.audit.record(Kind.CREATED)
        with pytest.raises(Refused, match=rf"rolled back to 1 entries: 5 were seen by {ADA}"):
            OwnHeads(north, other.audit).check(store)
        with pytest.raises(Refused, match="rolled back"):
            OwnHeads(north, other.audit).publish(store)  # a copy that runs beside the real one shows nothing

    def test_nobody_else_can_stop_the_hospital(
        self, own: OwnHeads, people: dict[str, Identity], other: State, store: Store, happen: Happen
    ) -> None:
        happen(1)
        for number in range(9):
            other.audit.record(Kind.RUN_STARTED, round=number)
        impostor = OwnHeads(people[ADA], other.audit)
        forged = impostor.sign().model_dump()
        forged["head"]["hospital"], forged["head"]["at"] = NORTH, forged["head"]["at"].isoformat()
        store.put(heads.witnessed_key(ADA, NORTH), json.dumps(forged).encode())
        store.put(heads.key(NORTH, 9), json.dumps({"head": forged, "proofs": {}, "signature": "x"}).encode())
        store.put("participants/=GG/witnessed/x", b"")
        own.check(store)
        assert sizes(store) == []  # rubbish in its own box is removed
        own.publish(store)
        own.check(store)
