"""The gate's process, as the agent holds it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from datasites.release.gate import Gate, GateFailed
from datasites.release.terms import Terms
from datasites.runner.errors import Code, WorkerFailed
from datasites.runner.replies import encode_result
from datasites.wire.outputs import ArraySpec, OutputContract
from datasites.wire.reasons import Reason
from tests.support.federation import wait_for

SIZE = 400_000  # more than a pipe holds
CONTRACT = OutputContract(
    parameters={"w": ArraySpec(shape=(SIZE,), dtype="float32")},
    fit_metrics=(),
    evaluate_metrics=(),
    evaluate_arrays={},
)
STATE = {"w": np.arange(SIZE, dtype=np.float32)}
AGENT = """
import sys, time
from pathlib import Path
from datasites.release.gate import Gate
gate = Gate.start(Path(sys.argv[1]), 1 << 20)
print(gate.pid, flush=True)
time.sleep(60)
"""


def frame(**arrays: np.ndarray) -> bytes:
    return encode_result("fit", (arrays, 3, {}))


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_one_gate_judges_one_result_after_another(tmp_path: Path) -> None:
    terms = Terms(contract=CONTRACT)
    with Gate.start(tmp_path / "log", 1 << 24) as gate:
        for _ in range(2):
            released = gate.examine("fit", frame(**STATE), STATE, 0, terms).released
            assert released
            assert released.parameters["w"].tobytes() == STATE["w"].tobytes()
            held = gate.examine("fit", frame(w=np.zeros(3)), STATE, 0, terms)
            assert (held.released, held.reason) == (None, Reason.CONTRACT)
            assert held.details == ("array 'w' is float64(3,), not float32(400000,)",)
    assert (tmp_path / "log").read_text() == ""
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_what_it_says_of_many_violations_is_short(tmp_path: Path) -> None:
    arrays = {f"{'patient' * 20}{number}": np.zeros(1) for number in range(3000)}
    with Gate.start(tmp_path / "log", 1 << 24) as gate:
        verdict = gate.examine("fit", frame(**arrays), STATE, 0, Terms(contract=CONTRACT))
    assert verdict.reason is Reason.CONTRACT
    assert 0 < sum(map(len, verdict.details)) < 32_000


def test_it_knows_nothing_and_is_told_nothing_on_its_command_line(tmp_path: Path) -> None:
    os.environ["WARDROUND_TEST_SECRET"] = "4711"
    try:
        with Gate.start(tmp_path / "log", 1 << 20) as gate:
            gate.examine("fit", frame(**STATE), STATE, 0, Terms(contract=CONTRACT))
            told = Path(f"/proc/{gate.pid}/cmdline").read_bytes()
            if os.getuid() == 0:  # for others the kernel does not even show it: it keeps its memory to itself
                assert b"4711" not in Path(f"/proc/{gate.pid}/environ").read_bytes()
            assert str(tmp_path).encode() not in told
    finally:
        del os.environ["WARDROUND_TEST_SECRET"]


def test_a_stopped_gate_says_so(tmp_path: Path) -> None:
    gate = Gate.start(tmp_path / "log", 1 << 20)
    with pytest.raises(WorkerFailed) as caught:
        gate.examine("fit", frame(**STATE), STATE, 0, Terms(contract=CONTRACT), should_stop=lambda: True)
    assert caught.value.code is Code.STOPPED
    gate.stop()
    assert not runs(gate.pid)
    with pytest.raises(GateFailed):
        gate.examine("fit", frame(**STATE), STATE, 0, Terms(contract=CONTRACT))


def test_it_does_not_outlive_its_agent(tmp_path: Path) -> None:
    agent = subprocess.Popen([sys.executable, "-c", AGENT, str(tmp_path / "log")], stdout=subprocess.PIPE)
    assert agent.stdout
    pid = int(agent.stdout.readline())
    agent.kill()
    agent.wait()
    agent.stdout.close()
    wait_for(lambda: not runs(pid), "the gate's end")
