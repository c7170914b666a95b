from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.federation import World


@pytest.fixture(scope="session")
def _world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("world"))
    try:
        yield world.open()
    finally:
        world.close()


@pytest.fixture(scope="module")
def _world_of_module(_world: World) -> Iterator[World]:
    _world.all_serve()
    yield _world
    _world.rest()


@pytest.fixture
def world(_world_of_module: World) -> World:
    """Two hospitals over a folder store, both serving; what earlier tests submitted is still there."""
    _world_of_module.all_serve()
    return _world_of_module


@pytest.fixture
def background() -> Iterator[Callable[..., Future[Any]]]:
    """Runs a function beside the test."""
    pool = ThreadPoolExecutor(max_workers=4)
    yield pool.submit
    pool.shutdown(wait=False, cancel_futures=True)
