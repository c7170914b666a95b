"""A small slice of `make crash`, in a process of its own: it forks, so it must not share one with other tests."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SLICE = ["--runs", "8", "--lines", "5", "--synced", "2", "--seed", "1"]


@pytest.mark.slow
def test_nothing_is_lost_doubled_or_half_written() -> None:
    done = subprocess.run([sys.executable, "-m", "tests.crash", *SLICE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1].removeprefix("RESULT "))
    assert result["runs"] == 8
    assert result["points"] >= 50
    assert (result["lost"], result["doubled"], result["half_written"], result["upset"]) == (0, 0, 0, 0)
