from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from datasites.audit.entry import Kind
from datasites.state import State
from datasites.wire.identity import Identity
from datasites.wire.store import Store

NORTH, SOUTH, ADA = "do@north.org", "do@south.org", "ada@uni.org"


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Identity]:
    folder = tmp_path_factory.mktemp("keys")
    return {email: Identity.create(email, folder / f"{email}.json") for email in (NORTH, SOUTH, ADA)}


@pytest.fixture
def north(people: dict[str, Identity]) -> Identity:
    return people[NORTH]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(tmp_path / "state.db")
    yield opened
    opened.close()


@pytest.fixture
def store() -> Store:
    return Store(f"memory:///{uuid.uuid4().hex}")


@pytest.fixture
def happen(state: State) -> Callable[[int], None]:
    """Records so many rounds of one study."""

    def record(rounds: int) -> None:
        with state.audit.transaction():
            for _ in range(rounds):
                state.audit.add(Kind.RUN_STARTED, study="a" * 64, round=state.audit.size + 1)

    return record
