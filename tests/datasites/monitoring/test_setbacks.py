"""What keeps an agent from its work is counted as what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from datasites.agent.trouble import Trouble
from datasites.monitoring.setbacks import counts
from datasites.state import State
from datasites.wire.store import Store
from policies.errors import Unavailable
from tests.support.s3 import S3


def test_the_store_and_the_disk_are_told_apart(tmp_path: Path) -> None:
    before, trouble = counts(), Trouble("the agent")
    away = S3("http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(Unavailable) as store:
        Store(away.url, away.options).get("key")
    (tmp_path / "state.db").mkdir()
    with pytest.raises(Unavailable) as disk:
        State(tmp_path / "state.db")
    for problem in (store.value, disk.value, OSError(28, "No space left on device")):
        trouble.met(problem)
        trouble.met(problem)  # told once, counted each time
    grown = {kind: counts()[kind] - before[kind] for kind in before}
    assert grown == {"store": 2, "disk": 4, "sync": 0, "other": 0}
