from __future__ import annotations

import dataclasses
import multiprocessing
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from datasites.state import AnsweredRound, State, now
from datasites.wire.decision import Decision, SignedDecision, Verdict
from datasites.wire.identity import Identity
from datasites.wire.spool import SMALL
from policies.errors import Unavailable

STUDY, OTHER = "a" * 64, "b" * 64

KILLED = """
import os, sys
from pathlib import Path
from datasites.state import State, AnsweredRound
state = State(Path(sys.argv[1]))
# the process dies after the first of a transaction's two statements
state._db.set_trace_callback(lambda sql: os.kill(os.getpid(), 9) if sql.startswith("UPDATE") else None)
state.record_answer("a" * 64, AnsweredRound(2, "digest", "released", True, True, b"reply", "now", 0.1))
"""


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(tmp_path / "state.db")
    yield opened
    opened.close()


def answer(number: int, outcome: str = "released", fit: bool = True, evaluate: bool = True) -> AnsweredRound:
    return AnsweredRound(number, f"digest-{number}", outcome, fit, evaluate, b"reply-%d" % number, "now", 0.5)


def signed(identity: Identity, number: int, verdict: Verdict = "approved", study: str = STUDY) -> SignedDecision:
    decision = Decision(
        study=study,
        hospital=identity.email,
        number=number,
        verdict=verdict,
        rounds=3,
        expires_at=now() + timedelta(days=1),
        decided_at=now(),
    )
    return SignedDecision.sign(decision, identity)


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    return Identity.create("do@north.org", tmp_path / "identity.json")


class TestDecisions:
    def test_the_last_one_is_in_force_and_all_are_kept(self, state: State, identity: Identity) -> None:
        assert state.decision(STUDY) is None
        for number, verdict in ((1, "approved"), (2, "revoked")):
            state.record_decision(signed(identity, number, verdict))
        state.record_decision(signed(identity, 1, study=OTHER))
        assert [s.decision.verdict for s in state.decisions(STUDY)] == ["approved", "revoked"]
        assert {s.decision.study: s.decision.number for s in state.current_decisions()} == {STUDY: 2, OTHER: 1}

    def test_a_number_is_taken_once(self, state: State, identity: Identity) -> None:
        state.record_decision(signed(identity, 1))
        with pytest.raises(sqlite3.IntegrityError):
            state.record_decision(signed(identity, 1, "denied"))
        assert state.decision(STUDY) == signed_verdict(state, "approved")

    def test_the_signature_survives_the_disk(self, state: State, identity: Identity) -> None:
        state.record_decision(signed(identity, 1))
        found = state.decision(STUDY)
        assert found
        assert found.verified(identity.public)

    def test_another_process_sees_it_at_once(self, state: State, identity: Identity, tmp_path: Path) -> None:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.apply(verdict_in, (tmp_path / "state.db",)) is None
            state.record_decision(signed(identity, 1))
            assert pool.apply(verdict_in, (tmp_path / "state.db",)) == "approved"


class TestAnswers:
    def test_a_round_has_one_answer(self, state: State) -> None:
        state.record_answer(STUDY, answer(1))
        with pytest.raises(sqlite3.IntegrityError):
            state.record_answer(STUDY, answer(1, "code_error"))
        assert state.answer(STUDY, 1) == answer(1)
        assert state.last_round(STUDY) == 1
        assert state.last_round(OTHER) == 0

    def test_only_what_was_released_counts_as_used(self, state: State) -> None:
        state.record_answer(STUDY, answer(1))
        state.record_answer(STUDY, answer(2, "code_error"))
        state.record_answer(STUDY, answer(3, fit=False))
        assert state.used(STUDY) == (1, 2)
        assert state.used(OTHER) == (0, 0)

    def test_bytes_are_dropped_only_of_old_answers_that_were_posted(self, state: State) -> None:
        for number in range(1, 6):
            state.record_answer(STUDY, answer(number))
            if number != 2:
                state.mark_posted(STUDY, number)
        kept = {n: getattr(state.answer(STUDY, n), "reply", None) is not None for n in range(1, 6)}
        assert kept == {1: False, 2: True, 3: False, 4: True, 5: True}
        assert [a.number for a in state.unposted(STUDY)] == [2]
        assert [a.number for a in state.answers(STUDY)] == [1, 2, 3, 4, 5]

    def test_a_process_killed_inside_the_transaction_leaves_nothing_of_it(self, state: State, tmp_path: Path) -> None:
        state.record_answer(STUDY, answer(1))
        done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "state.db")], check=False, timeout=60)
        assert done.returncode == -signal.SIGKILL
        assert state.answer(STUDY, 2) is None
        state.record_answer(STUDY, answer(2))
        assert state.last_round(STUDY) == 2


def test_the_file_is_private_and_every_commit_is_synced(state: State, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "state.db").stat().st_mode) == 0o600
    assert state._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert state._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def signed_verdict(state: State, verdict: str) -> SignedDecision:
    return next(s for s in state.decisions(STUDY) if s.decision.verdict == verdict)


def verdict_in(path: Path) -> str | None:
    state = State(path)
    try:
        found = state.decision(STUDY)
        return found.decision.verdict if found else None
    finally:
        state.close()


def test_a_full_disk_is_told_in_one_sentence_and_nothing_of_the_answer_is_kept(state: State) -> None:
    large = dataclasses.replace(answer(1), reply=b"x" * 100_000)
    (pages,) = state._db.execute("PRAGMA page_count").fetchone()
    state._db.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own limit raises what a full disk does
    with pytest.raises(Unavailable, match=r"^The datasite's state could not be written \(database or disk is full\)\."):
        state.record_answer(STUDY, large)
    assert state.answers(STUDY) == []
    assert state.audit.size == 0
    state._db.execute(f"PRAGMA max_page_count = {pages + 1000}")
    state.record_answer(STUDY, large)
    assert [one.number for one in state.answers(STUDY)] == [1]


def test_a_large_reply_is_stored_whole_with_its_round(tmp_path: Path) -> None:
    state = State(tmp_path / "state.db")
    large = bytes(range(256)) * (SMALL // 256 + 4097)
    for number, reply in ((1, memoryview(large)), (2, large[:SMALL]), (3, large[: SMALL - 1])):
        state.record_answer("a" * 64, AnsweredRound(number, "digest", "released", True, True, reply, "now", 0.5))
        found = state.answer("a" * 64, number)
        assert found is not None
        assert found.reply == bytes(reply)
    assert [row.number for row in state.unposted("a" * 64)] == [1, 2, 3]
    state.close()
