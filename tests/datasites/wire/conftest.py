from __future__ import annotations

from pathlib import Path

import pytest

from datasites.wire.identity import Identity

ADA, WARD = "ada@uni.org", "do@ward.org"


@pytest.fixture(scope="session")
def ada(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return Identity.create(ADA, tmp_path_factory.mktemp("ada") / "identity.json")


@pytest.fixture(scope="session")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return Identity.create(WARD, tmp_path_factory.mktemp("ward") / "identity.json")


@pytest.fixture
def stranger(tmp_path: Path) -> Identity:
    """Another's keys under ada's address."""
    return Identity.create(ADA, tmp_path / "stranger.json")
