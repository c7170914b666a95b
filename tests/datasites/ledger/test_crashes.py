"""`kill -9` at every line of our code and at every statement of SQLite's, over a whole life of reservations."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Forks a child for every k, which dies at its k-th step of: reserve, answer (commits), reserve, refund, reserve,
# recover.
DYING = """
import os, shutil, signal, sys
from pathlib import Path
import datasites.state
from datasites.audit import entry, log
from datasites.ledger import admission, check, rows, store, totals
from datasites.ledger.rows import Charge
from datasites.state import AnsweredRound, State
from policies.errors import Refused
from policies.privacy import Gaussian
from policies.sections import Budget

folder, by, stride = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
OURS = {m.__file__ for m in (datasites.state, entry, log, admission, check, rows, store, totals)}
BUDGET = Budget(epsilon_per_study=100.0, epsilon_total=100.0, delta=1e-6)

def charge(number, round):
    return Charge("table", f"{number:064d}", "ada@uni.org", round, "digest", (Gaussian(100.0),))

def live(state, number):
    state.ledger.reserve(charge(number, 1), BUDGET)
    state.record_answer(f"{number:064d}", AnsweredRound(1, "digest", "released", True, True, b"reply", "now", 0.1))
    state.ledger.refund(state.ledger.reserve(charge(number, 2), BUDGET))
    state.ledger.reserve(charge(number, 3), BUDGET)
    state.ledger.recover()

def child(number, path):
    left = [number]
    def step(*_):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    def trace(frame, event, arg):
        if frame.f_code.co_filename not in OURS:
            return None
        if event == "line":
            step()
        return trace
    state = State(path)
    if by == "line":
        sys.settrace(trace)
    else:
        state._db.set_trace_callback(step)
    live(state, number)
    sys.settrace(None)
    os._exit(7)

def after(number, path):
    '''A restart finds a whole ledger, goes on, and has charged a round once if it was answered, or not at all.'''
    state = State(path)
    state.ledger.recover()
    study = f"{number:064d}"
    answered = state.answer(study, 1) is not None
    spent = state.ledger.spent("table", study=study)
    assert spent == ((Gaussian(100.0),) if answered else ()), (number, spent)
    try:
        again = state.ledger.reserve(charge(number, 1), BUDGET)
        assert not answered, number
        state.ledger.refund(again)
    except Refused:
        assert answered, number
    state.close()

State(folder / "empty.db").close()
for number in range(1, 100_000, stride):
    path = folder / f"{number}.db"
    shutil.copy(folder / "empty.db", path)
    pid = os.fork()
    if pid == 0:
        try:
            child(number, path)
        finally:
            os._exit(1)
    status = os.waitpid(pid, 0)[1]
    after(number, path)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 7
        break
print(number)
"""


@pytest.mark.parametrize(("by", "stride"), [("statement", 1), ("line", 11)])
def test_killed_at_every_step(tmp_path: Path, by: str, stride: int) -> None:
    """Lines are taken in strides of 11 to save time: what matters between two lines is which statements are done."""
    command = [sys.executable, "-c", DYING, str(tmp_path), by, str(stride)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40
