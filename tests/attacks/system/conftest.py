from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks.system.ward import PASSWORD, MarkedWorld, Ward


@pytest.fixture(scope="session")
def _ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("WARDROUND_AUDIT_SECONDS", "0.2")
        patched.setenv("WARDROUND_METRICS", "127.0.0.1:0")
        patched.setenv("WARDROUND_LOG_FORMAT", "json")
        patched.setenv("HOSPITAL_PASSWORD", PASSWORD)
        world = MarkedWorld(tmp_path_factory.mktemp("system"))
    try:
        yield Ward(world)
    finally:
        world.close()


@pytest.fixture(scope="module")
def _ward_of_module(_ward: Ward) -> Iterator[Ward]:
    _ward.world.all_serve()
    yield _ward
    _ward.world.rest()


@pytest.fixture
def ward(_ward_of_module: Ward) -> Ward:
    """One for all tests; what earlier attacks did to it is still there."""
    _ward_of_module.world.all_serve()
    return _ward_of_module
