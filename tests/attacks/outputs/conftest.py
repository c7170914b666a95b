from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks.outputs.ward import POLICY, Ward


@pytest.fixture(scope="module")
def _ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    ward = Ward(tmp_path_factory.mktemp("ward") / "home")
    yield ward
    ward.close()


@pytest.fixture
def ward(_ward: Ward) -> Ward:
    """A hospital under the usual policy; what earlier tests made is still there."""
    _ward.policy(POLICY)
    return _ward
