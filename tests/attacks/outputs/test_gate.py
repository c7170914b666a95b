"""A gate that is killed, hangs or lies: nothing leaves, and the next round has a gate again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from datasites.release import gate as gates
from datasites.release.gate import Gate, GateFailed
from datasites.release.terms import Terms
from datasites.release.words import READY
from datasites.runner.frames import Closed, read_frame, write_frame
from datasites.wire.reasons import Reason
from tests.attacks.outputs.ward import CONTRACT, Ward


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hanging"])
def test_a_gate_that_does_not_answer(ward: Ward, monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    ward.honest()
    assert ward.bench._gate
    monkeypatch.setattr(gates, "_SECONDS", 0.3)
    os.kill(ward.bench._gate.pid, number)
    assert ward.round().outcome == Reason.HOSPITAL
    assert ward.held()[0].kept
    monkeypatch.undo()
    ward.honest()


SAYINGS: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda honest: b"",
    "more_numbers_than_were_approved": lambda honest: honest + bytes(8),
    "fewer_numbers": lambda honest: honest[:-1],
    "text": lambda honest: b"+patient 11 is ill",
    "a_reason_of_its_own": lambda honest: b'-{"reason": "patient 11 is ill", "details": []}',
    "no_reason": lambda honest: b"-{}",
    "a_nested_reason": lambda honest: b"-" + b"[" * 20_000,
    "a_flood": lambda honest: bytes(10**6),
    "no_examples": lambda honest: b"+" + bytes(len(honest) - 1),
    "an_infinite_metric": lambda honest: honest[:9] + b"\x00\x00\x00\x00\x00\x00\xf0\x7f" + honest[17:],
}


@pytest.mark.parametrize("say", SAYINGS.values(), ids=SAYINGS)
def test_a_gate_that_was_taken_over_gets_nothing_out(say: Callable[[bytes], bytes]) -> None:
    honest = b"+" + (60).to_bytes(8, "little") + bytes(8 + 2 * 10 * 8 + 4 * 8)
    with _fake(say(honest)) as fake, pytest.raises(GateFailed):
        fake.examine("evaluate", b"", {}, 0, Terms(contract=CONTRACT))
    with _fake(honest) as fake:
        assert fake.examine("evaluate", b"", {}, 0, Terms(contract=CONTRACT)).released


def test_an_answer_to_no_question_is_not_taken_for_the_next_ones() -> None:
    honest = b"+" + (60).to_bytes(8, "little") + bytes(8 + 2 * 10 * 8 + 4 * 8)
    with _fake(honest, honest) as fake:
        assert fake.examine("evaluate", b"", {}, 0, Terms(contract=CONTRACT)).released
        with pytest.raises(GateFailed):
            fake.examine("evaluate", b"", {}, 0, Terms(contract=CONTRACT))


def _fake(*sayings: bytes) -> Gate:
    """A gate whose process only sleeps; a thread says in its place what a hostile one might."""
    (tasks, ours), (replies, theirs) = os.pipe(), os.pipe()
    os.set_blocking(ours, False)
    os.set_blocking(replies, False)

    def speak() -> None:
        with contextlib.suppress(Closed, OSError), open(theirs, "wb"), open(tasks, "rb"):
            write_frame(theirs, READY)
            for _ in range(4):
                read_frame(tasks, 10**6)
            # all at once, so that the agent never finds the first without the rest
            os.write(theirs, b"".join(len(said).to_bytes(8, "big") + said for said in sayings))
            read_frame(tasks, 10**6)  # until the agent closes it

    threading.Thread(target=speak, daemon=True).start()
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    return Gate(process, ours, replies)


CONFINED = """
import ctypes, mmap, os, signal, socket, subprocess, sys, threading
from datasites.release.inside import _confine, _practise
_practise()
ctypes.CDLL(None)
_confine(4 << 30, 1 << 20)
{body}
"""
FORBIDDEN = {
    "reads_a_file": "open(sys.argv[1])",
    "writes_a_file": "os.open(sys.argv[1] + '.x', os.O_WRONLY | os.O_CREAT)",
    "lists_a_folder": "os.listdir('/')",
    "opens_a_socket": "socket.socket()",
    "makes_a_pair_of_sockets": "socket.socketpair()",
    "starts_a_program": "os.execv('/bin/true', ['true'])",
    "forks": "os.fork()",
    "starts_a_thread": "threading.Thread(target=print).start()",
    "signals_its_agent": "os.kill(os.getppid(), 0)",
    "makes_memory_that_runs": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)",
    "renames": "os.rename(sys.argv[1], sys.argv[1] + '.x')",
    "becomes_another_user": "os.setuid(1)",
}


@pytest.mark.parametrize("body", FORBIDDEN.values(), ids=FORBIDDEN)
def test_a_taken_over_process_can_only_compute(tmp_path: Path, body: str) -> None:
    (tmp_path / "table.csv").write_text("a row")
    argv = [sys.executable, "-I", "-c", CONFINED.replace("{body}", body), str(tmp_path / "table.csv")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env={"OPENBLAS_NUM_THREADS": "1"})
    assert done.returncode != 0
    assert "Operation not permitted" in done.stderr or "can't start new thread" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.csv"]
