"""A look at others' audit logs costs the same however many there are, and comes to all of them."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from datasites.audit.entry import Kind
from datasites.audit.heads import OwnHeads
from datasites.audit.witness import Witness
from datasites.state import State
from datasites.wire import heads, keys
from datasites.wire.identity import Identity, PublicIdentity
from datasites.wire.store import Store


def others(store: Store, number: int) -> list[str]:
    """Participants that show something in the places of heads."""
    emails = [f"do@h{i:03d}.org" for i in range(number)]
    for email in emails:
        store.put(heads.key(email, 1), b"rubbish")
    return emails


@pytest.mark.parametrize("number", [20, 60])
def test_a_witness_looks_at_a_few_in_turn(tmp_path: Path, number: int) -> None:
    store, asked = Store(f"memory:///{uuid.uuid4().hex}"), []

    def keys_of(email: str) -> PublicIdentity | None:
        asked.append(email)
        return None

    state = State(tmp_path / "state.db")
    witness, emails = Witness("do@north.org", state.audit, store, keys_of), others(store, number)
    for _ in range(-(-number // 8)):
        before = store.calls.seen()
        witness.look()
        assert store.calls.seen()["list"] - before["list"] <= 9
        assert store.calls.seen()["get"] == before["get"]
    assert sorted(asked) == emails
    state.close()


def test_two_hospitals_watch_others_where_there_are_many(tmp_path: Path) -> None:
    store = Store(f"memory:///{uuid.uuid4().hex}")
    emails = others(store, 300)
    watched = []
    for name in ("north", "south"):
        state = State(tmp_path / f"{name}.db")
        watched.append(Witness(f"do@{name}.org", state.audit, store, lambda _: None)._watched({})[-64:])
        state.close()
    assert len(set(watched[0]) ^ set(watched[1])) > 32
    assert set(watched[0]) < set(emails)


def test_showing_a_head_asks_a_few_witnesses_and_starting_asks_all(tmp_path: Path) -> None:
    store, state = Store(f"memory:///{uuid.uuid4().hex}"), State(tmp_path / "state.db")
    own = OwnHeads(Identity.create("do@north.org", tmp_path / "north.json"), state.audit)
    for i in range(40):
        store.put(f"{keys.participant(f'do@h{i:03d}.org')}/bundle.json", b"{}")
    own.check(store)
    assert store.calls.seen()["get"] == 40
    for round_number in range(2):
        state.audit.record(Kind.RUN_STARTED, study="a" * 64, round=round_number)
        before = store.calls.seen()
        assert own.publish(store)
        assert store.calls.seen()["get"] - before["get"] == 8
    state.close()
