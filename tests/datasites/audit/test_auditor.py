from __future__ import annotations

import logging
from pathlib import Path

import pytest

from datasites.audit.auditor import Auditor
from datasites.audit.entry import Kind
from datasites.state import State
from datasites.wire import heads
from datasites.wire.identity import Identity
from datasites.wire.quarantine import put_aside
from datasites.wire.store import Store
from policies.errors import Refused, Unavailable
from tests.datasites.audit.conftest import ADA, NORTH


@pytest.fixture
def auditor(north: Identity, state: State, store: Store, tmp_path: Path) -> Auditor:
    return Auditor(north, state.audit, store, lambda email: None, tmp_path / "quarantine", 0.0)


def kinds(state: State) -> list[str]:
    return [entry["kind"] for entry in state.audit.entries()]


def test_a_service_from_start_to_stop(auditor: Auditor, north: Identity, state: State, store: Store) -> None:
    auditor.start()
    auditor.look()
    auditor.look()
    auditor.stop()
    assert kinds(state) == ["agent_started", "agent_stopped"]
    assert [heads.size_of(name) for name in store.names(heads.box(NORTH))] == [1, 2]


def test_refused_messages_are_noted_once_even_over_restarts(
    auditor: Auditor, north: Identity, state: State, store: Store, tmp_path: Path
) -> None:
    for _ in range(2):
        put_aside(tmp_path / "quarantine", ADA, "box/1", b"bytes", "is not signed; its text: SECRET")
        auditor.look()
        Auditor(north, state.audit, store, lambda email: None, tmp_path / "quarantine", 0.0).look()
    [entry] = state.audit.entries()
    assert (entry["kind"], entry["peer"]) == ("message_quarantined", ADA)
    assert "SECRET" not in str(entry)
    put_aside(tmp_path / "quarantine", ADA, "box/2", b"bytes", "is bad")
    auditor.look()
    assert state.audit.size == 2


def test_not_more_often_than_told(north: Identity, state: State, store: Store, tmp_path: Path) -> None:
    auditor = Auditor(north, state.audit, store, lambda email: None, tmp_path / "quarantine", 3600)
    auditor.start()
    auditor.look()
    state.audit.record(Kind.CREATED)
    auditor.look()
    assert len(store.names(heads.box(NORTH))) == 1


def test_a_store_that_is_away_is_tried_again(
    auditor: Auditor, state: State, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: object) -> None:
        raise Unavailable("The store could not be written.")

    auditor.start()
    with monkeypatch.context() as patched:
        patched.setattr(store, "put", away)
        with caplog.at_level(logging.WARNING):
            auditor.look()
            auditor.stop()
    assert "could not be exchanged: The store could not be written." in caplog.text
    assert store.names(heads.box(NORTH)) == []
    auditor.look()
    assert [heads.size_of(name) for name in store.names(heads.box(NORTH))] == [2]


def test_nothing_is_written_before_the_log_was_found_good(
    auditor: Auditor, north: Identity, state: State, store: Store, tmp_path: Path
) -> None:
    auditor.start()
    auditor.look()
    fresh = State(tmp_path / "fresh.db")
    with pytest.raises(Refused, match="rolled back to 0 entries: 1 were published"):
        Auditor(north, fresh.audit, store, lambda email: None, tmp_path / "quarantine", 0.0).start()
    assert fresh.audit.size == 0
    fresh.close()
