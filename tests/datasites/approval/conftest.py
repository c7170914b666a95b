from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from datasites.datasite import Datasite
from datasites.wire.identity import Identity
from tests.support.submissions import hospital


@pytest.fixture
def ada(tmp_path: Path) -> Identity:
    return Identity.create("ada@uni.org", tmp_path / "ada.json")


@pytest.fixture
def site(tmp_path: Path, ada: Identity) -> Iterator[Datasite]:
    """A datasite that knows Ada and has the table and a policy for it, without an agent."""
    datasite = hospital(tmp_path, ada)
    yield datasite
    datasite.state.close()
