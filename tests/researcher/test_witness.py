from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from datasites.audit.entry import Kind
from datasites.audit.heads import OwnHeads
from datasites.state import State
from datasites.wire import heads
from datasites.wire.home import Home
from datasites.wire.identity import Identity
from datasites.wire.store import Store
from datasites.wire.witness import Verdict
from policies.errors import InvalidInput
from researcher.witness import Witness

NORTH, ADA = "do@north.org", "ada@uni.org"


@pytest.fixture
def store() -> Store:
    return Store(f"memory:///{uuid.uuid4().hex}")


@pytest.fixture
def north(tmp_path: Path) -> Identity:
    return Identity.create(NORTH, tmp_path / "identity.json")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(tmp_path / "state.db")
    yield opened
    opened.close()


@pytest.fixture
def witness(tmp_path: Path, store: Store) -> Witness:
    return Witness(ADA, Home(tmp_path / "ada"), store)


def test_what_was_seen_is_kept_over_restarts_and_shown_to_the_hospital(
    witness: Witness, north: Identity, state: State, store: Store, tmp_path: Path
) -> None:
    assert witness.look(north.public).verdict is Verdict.NOTHING
    assert not witness.path(NORTH).exists()
    own = OwnHeads(north, state.audit)
    for size in (1, 2):
        state.audit.record(Kind.RUN_STARTED, round=size)
        own.publish(store)
        fresh = Witness(ADA, Home(tmp_path / "ada"), store)
        seen = fresh.look(north.public)
        assert (seen.verdict, [one.head.size for one in seen.heads]) == (Verdict.CONSISTENT, [1, 2][:size])
        told = heads.read_witnessed(store, ADA, north.public)
        assert told == seen.heads[-1]
    assert witness.memory(NORTH) == seen


def test_a_second_history_stays_an_alarm(
    witness: Witness,
    north: Identity,
    state: State,
    store: Store,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    state.audit.record(Kind.RUN_STARTED, round=1)
    OwnHeads(north, state.audit).publish(store)
    witness.look(north.public)
    forged = State(tmp_path / "forged.db")
    forged.audit.record(Kind.RUN_FAILED, round=1)
    store.delete(heads.witnessed_key(ADA, NORTH))
    OwnHeads(north, forged.audit).publish(store)
    forged.close()
    for _ in range(2):
        seen = witness.look(north.public)
        assert (seen.verdict, len(seen.heads), len(seen.against)) == (Verdict.REWRITTEN, 1, 1)
    state.audit.record(Kind.RUN_STARTED, round=2)
    OwnHeads(north, state.audit).publish(store)
    assert witness.look(north.public).verdict is Verdict.REWRITTEN
    assert f"{NORTH} has rewritten its audit log" in caplog.text


def test_a_damaged_file_is_told(witness: Witness, north: Identity) -> None:
    witness.path(NORTH).parent.mkdir(parents=True)
    witness.path(NORTH).write_text("{")
    with pytest.raises(InvalidInput, match="is damaged"):
        witness.look(north.public)
