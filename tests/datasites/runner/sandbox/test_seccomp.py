"""The filter in a process of its own; what it stops is shown by the attacks in tests/attacks/sandbox."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from datasites.runner.sandbox import seccomp, syscalls
from policies.errors import Unavailable

SCRIPT = """if True:
    import ctypes, os, resource, signal, socket, subprocess, sys, threading
    from datasites.runner.sandbox import seccomp
    seccomp.apply(seccomp.program(files={files}, signals={signals}))
    def tried(what):
        try:
            what()
        except OSError as error:
            return error.strerror
        return "done"
    threading.Thread(target=print, args=("thread done",)).start()
    def raised():
        signal.signal(signal.SIGUSR1, lambda *_: None)
        signal.raise_signal(signal.SIGUSR1)
    for name, what in dict(
        process=lambda: subprocess.run(["true"]),
        own_limit=lambda: resource.getrlimit(resource.RLIMIT_NOFILE),
        affinity=lambda: os.sched_setaffinity(0, os.sched_getaffinity(0)),
        stream_pair=lambda: [end.close() for end in socket.socketpair()],
        raised=raised,
        socket=socket.socket,
        parents_limit=lambda: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE),
        signal=lambda: os.kill(os.getppid(), 0),
        mode=lambda: os.chmod(os.devnull, 0o666),
    ).items():
        print(name, tried(what))
"""
HONEST = ["thread", "process", "own_limit", "affinity", "stream_pair", "raised"]


def _run(**options: bool) -> dict[str, str]:
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(**options)], capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def test_what_honest_code_needs_is_let_through():
    said = _run(files=True, signals=True)
    assert {name: said[name] for name in HONEST} == dict.fromkeys(HONEST, "done")
    assert {said[name] for name in ("socket", "parents_limit", "signal", "mode")} == {"Operation not permitted"}


def test_signals_are_left_to_whoever_confines_them():
    said = _run(files=False, signals=False)
    assert said["signal"] == "done"
    assert said["socket"] == "Operation not permitted"


def test_unknown_processor_is_refused(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(Unavailable, match="riscv64"):
        seccomp.program()


@pytest.mark.parametrize(
    ("header", "column"),
    [("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", 0), ("/usr/include/asm-generic/unistd.h", 1)],
)
def test_numbers_are_those_of_the_kernels_headers(header, column):
    if not Path(header).is_file():
        pytest.skip("the kernel's headers are not installed")
    text = Path(header).read_text()
    known = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    named = syscalls.REFUSED | syscalls.METADATA | syscalls.SIGNALS | syscalls.BY_ARGUMENT
    wrong = {name: numbers for name, numbers in named.items() if known.get(name, numbers[column]) != numbers[column]}
    assert not wrong
