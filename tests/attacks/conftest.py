from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.attacks.world import Desk, Ward, make_desk, make_ward


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "check: no attack, but honest use that must go on beside them")


@pytest.fixture(params=[False, True], ids=["stock", "ours"])
def ours(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def ward(tmp_path: Path, ours: bool) -> Ward:
    return make_ward(tmp_path, ours)


@pytest.fixture
def desk(tmp_path: Path, ours: bool) -> Desk:
    return make_desk(tmp_path, ours)


@pytest.fixture
def new_ward(tmp_path: Path) -> Callable[[bool], Ward]:
    return lambda ours: make_ward(tmp_path, ours)


@pytest.fixture
def new_desk(tmp_path: Path) -> Callable[[bool], Desk]:
    return lambda ours: make_desk(tmp_path, ours)
