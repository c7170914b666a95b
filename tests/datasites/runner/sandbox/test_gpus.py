"""No card here: another device stands for one. What is tested is that studies see it when, and only when, they may."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from datasites.runner.limits import Limits
from datasites.runner.process import Worker
from datasites.runner.sandbox import bubblewrap, gpus, landlock
from datasites.runner.sandbox.base import Sandbox
from datasites.runner.sandbox.bubblewrap import Bubblewrap
from datasites.runner.sandbox.landlock import Landlock

CARD = Path("/dev/fuse") if Path("/dev/fuse").exists() else Path("/dev/full")
OPEN = f"import os; os.close(os.open({str(CARD)!r}, os.O_RDWR))"


@pytest.fixture(autouse=True)
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "devices", lambda: (CARD,))


def test_no_study_sees_a_card_unless_the_owner_says_so() -> None:
    assert Limits().gpus is False


@pytest.mark.skipif(bool(bubblewrap.problem()), reason="no bubblewrap")
@pytest.mark.parametrize("allowed", [False, True])
def test_bubblewrap(allowed: bool) -> None:
    limits = Limits(gpus=allowed)
    command = Bubblewrap().command([sys.executable, "-I", "-c", OPEN], (), Path("/scratch"), limits)
    assert (str(CARD) in command) == allowed
    if CARD.name == "full" and not allowed:
        pytest.skip("bubblewrap shows this device to everybody")
    assert (subprocess.run(command, capture_output=True, env={}).returncode == 0) == allowed


@pytest.mark.skipif(bool(landlock.problem()), reason="no Landlock")
@pytest.mark.parametrize("allowed", [False, True])
def test_landlock(allowed: bool, tmp_path: Path) -> None:
    script = (
        f"from pathlib import Path; from datasites.runner.sandbox import gpus, landlock\n"
        f"gpus.devices = lambda: (Path({str(CARD)!r}),)\n"
        f"landlock.apply(landlock.ruleset([], [], with_gpus={allowed}))\n{OPEN}"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode == 0) == allowed, done.stderr
    assert allowed or "PermissionError" in done.stderr


@pytest.mark.parametrize("sandbox", [Bubblewrap(), Landlock()], ids=lambda sandbox: sandbox.name)
def test_a_worker_starts_and_its_addresses_are_not_limited(sandbox: Sandbox, tmp_path: Path) -> None:
    """CUDA reserves more of them than any machine has memory."""
    module = bubblewrap if sandbox.name == "bubblewrap" else landlock
    if problem := module.problem():
        pytest.skip(problem)
    import pandas as pd

    pd.DataFrame({"patient": [1]}).to_parquet(tmp_path / "table.parquet")
    (tmp_path / "study.py").write_text(
        "import resource\ndef evaluate(p, t, c):\n"
        "    return 1, {'limit': float(resource.getrlimit(resource.RLIMIT_AS)[0])}\n"
    )
    inherited = resource.getrlimit(resource.RLIMIT_AS)[1]
    for allowed in (False, True):
        limits = Limits(gpus=allowed, memory_bytes=2**32)
        files = (tmp_path, tmp_path / "table.parquet", tmp_path / "scratch", tmp_path / "log")
        with Worker.start(*files, limits, sandbox) as worker:
            limit = worker.call("evaluate", {}, {}).metrics["limit"]
        assert limit == float(inherited if allowed else 2**32)
