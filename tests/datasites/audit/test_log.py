from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from datasites.audit.entry import Kind
from datasites.state import AnsweredRound, State, now
from datasites.wire.decision import Decision, SignedDecision
from datasites.wire.identity import Identity
from datasites.wire.merkle import MemoryTree, leaf_hash
from datasites.wire.reasons import Reason

STUDY = "a" * 64

APPENDING = """
import sys
from pathlib import Path
from datasites.audit.entry import Kind
from datasites.state import State
state = State(Path(sys.argv[1]))
for number in range(200):
    state.audit.record(Kind.RUN_STARTED, study=sys.argv[2] * 64, round=number)
"""

# Forks a child for every k, which dies at its k-th step: a line of our code, or a statement of SQLite's.
DYING = """
import os, signal, sqlite3, sys
from pathlib import Path
import datasites.state, datasites.audit.log, datasites.audit.entry
from datasites.state import AnsweredRound, State

path, by = Path(sys.argv[1]), sys.argv[2]
OURS = {m.__file__ for m in (datasites.state, datasites.audit.log, datasites.audit.entry)}

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def child(number, steps):
    state, left = State(path), [steps]
    def step(*_):
        left[0] -= 1
        if left[0] < 0:
            die()
    def trace(frame, event, arg):
        if frame.f_code.co_filename not in OURS:
            return None
        if event == "line":
            step()
        return trace
    if by == "line":
        sys.settrace(trace)
    else:
        state._db.set_trace_callback(step)
    state.record_answer("a" * 64, AnsweredRound(number, "b" * 64, "released", True, True, b"reply", "now", 0.1))
    sys.settrace(None)
    os._exit(7)

for number in range(1, 1000):
    pid = os.fork()
    if pid == 0:
        try:
            child(number, number)
        finally:
            os._exit(1)
    status = os.waitpid(pid, 0)[1]
    db = sqlite3.connect(path)
    facts = {n for (n,) in db.execute("SELECT number FROM rounds")}
    entries = {n for (n,) in db.execute("SELECT json_extract(entry, '$.round') FROM audit_entries")}
    assert facts == entries, (number, facts ^ entries)
    db.close()
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 7
        break
print(number, len(facts))
"""


def answer(number: int, outcome: str = "released") -> AnsweredRound:
    return AnsweredRound(number, "b" * 64, outcome, True, False, b"reply", "now", 0.1)


def tree_of(state: State) -> MemoryTree:
    made = MemoryTree()
    for entry, leaf in state.audit.lines(state.audit.size):
        assert leaf_hash(entry) == leaf
        made.add(leaf)
    return made


def test_an_empty_log(state: State) -> None:
    assert state.audit.size == 0
    assert state.audit.entries() == []


def test_entries_are_numbered_salted_and_under_the_root(state: State, happen: Callable[[int], None]) -> None:
    for size in range(1, 70):
        happen(1)
        assert state.audit.root(size) == tree_of(state).root(size)
    entries = state.audit.entries()
    assert [entry["number"] for entry in entries] == list(range(1, 70))
    assert len({entry["salt"] for entry in entries}) == 69
    assert [entry["number"] for entry in state.audit.entries(last=2)] == [68, 69]
    assert state.audit.entries("b" * 64) == []


def test_the_database_refuses_to_change_or_delete_an_entry(state: State, happen: Callable[[int], None]) -> None:
    happen(3)
    for statement in ("UPDATE audit_entries SET entry = '{}' WHERE number = 2", "DELETE FROM audit_entries"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"), state.audit.transaction() as db:
            db.execute(statement)
    assert state.audit.size == 3


def test_once_is_once_for_each_study_or_message(state: State) -> None:
    assert state.audit.record_once(Kind.STUDY_RECEIVED, study=STUDY)
    assert not state.audit.record_once(Kind.STUDY_RECEIVED, study=STUDY)
    assert state.audit.record_once(Kind.STUDY_RECEIVED, study="b" * 64)
    assert state.audit.record_once(Kind.MESSAGE_QUARANTINED, message="m")
    assert not state.audit.record_once(Kind.MESSAGE_QUARANTINED, message="m", peer="ada@uni.org")
    assert state.audit.size == 3


def test_a_decision_is_recorded_with_its_digest_and_without_its_reason(state: State, north: Identity) -> None:
    decision = Decision(
        study=STUDY,
        hospital=north.email,
        number=1,
        verdict="approved",
        rounds=3,
        expires_at=now() + timedelta(days=1),
        reason="private words",
        decided_at=now(),
    )
    signed = SignedDecision.sign(decision, north)
    state.record_decision(signed)
    with pytest.raises(sqlite3.IntegrityError):
        state.record_decision(signed)
    [entry] = state.audit.entries(STUDY)
    assert (entry["kind"], entry["verdict"], entry["rounds"], entry["decision"]) == ("decided", "approved", 3, 1)
    assert "private words" not in json.dumps(entry)


def test_what_became_of_a_round(state: State) -> None:
    outcomes = {"released": "released", **{reason.value: "refused" for reason in Reason}}
    ran = "code_error timeout out_of_memory output_too_large bad_output died stopped table hospital"
    outcomes.update(dict.fromkeys(ran.split(), "run_failed"))
    for number, outcome in enumerate(outcomes, 1):
        state.record_answer(STUDY, answer(number, outcome))
    with pytest.raises(sqlite3.IntegrityError):
        state.record_answer(STUDY, answer(1, "code_error"))
    entries = state.audit.entries(STUDY)
    assert [entry["kind"] for entry in entries] == list(outcomes.values())
    assert [entry.get("reason", "released") for entry in entries] == list(outcomes)
    assert {entry["bytes"] for entry in entries} == {5}


@pytest.mark.parametrize("by", ["line", "statement"])
def test_a_process_killed_at_any_step_leaves_no_fact_without_its_entry(state: State, tmp_path: Path, by: str) -> None:
    argv = [sys.executable, "-c", DYING, str(tmp_path / "state.db"), by]
    done = subprocess.run(argv, check=False, timeout=300, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    steps, facts = map(int, done.stdout.split())
    assert steps > {"line": 40, "statement": 6}[by]  # it died at each of them before it came through
    assert 1 <= facts <= state.audit.size < steps
    tree_of(state)
    state.record_answer(STUDY, answer(10_000))
    assert state.audit.entries()[-1]["round"] == 10_000


def test_processes_at_once_make_one_sequence_without_a_gap(state: State, tmp_path: Path) -> None:
    argv = [sys.executable, "-c", APPENDING, str(tmp_path / "state.db")]
    writers = [subprocess.Popen([*argv, name]) for name in "bc"]
    for number in range(1, 201):
        state.record_answer(STUDY, answer(number))
    assert [writer.wait(120) for writer in writers] == [0, 0]
    assert [entry["number"] for entry in state.audit.entries()] == list(range(1, 601))
    for name in "bc":
        assert [entry["round"] for entry in state.audit.entries(name * 64)] == list(range(200))
    assert tree_of(state).root(600) == state.audit.root(600)
