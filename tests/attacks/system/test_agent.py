"""Attacks on the agent as a process, and on a machine that cannot confine anything."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from datasites.audit.entry import Kind
from datasites.runner.sandbox import seccomp
from tests.attacks.system.ward import PASSWORD, Ward
from tests.support.federation import PATIENCE, WARDROUND

# Runs a command under a filter of system calls that has no Landlock, and where bubblewrap is not on the path.
BARE = """
import os, platform, struct, sys
from datasites.runner.sandbox import seccomp
steps = [(0x20, 0, 0, 0)]
for number in (444, 445, 446):
    steps += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | 38)]
seccomp.apply(b"".join(struct.pack("=HBBI", *step) for step in [*steps, (0x06, 0, 0, 0x7FFF0000)]))
os.execve(sys.executable, [sys.executable, *sys.argv[1:]], {**os.environ, "PATH": "/nonexistent"})
"""


@pytest.mark.parametrize("through", ["its own path", "a link"])
def test_starts_a_second_agent_on_a_home_by(ward: Ward, through: str, tmp_path: Path) -> None:
    with ward.attack():
        home = ward.north.home.path
        if through == "a link":
            (tmp_path / "link").symlink_to(home)
            home = tmp_path / "link"
        argv = [*WARDROUND, "serve", "--home", str(home)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 3
        assert done.stderr.startswith("Error: An agent is serving")
        assert "Traceback" not in done.stderr


def test_looks_at_a_workers_command_line_and_environment(ward: Ward) -> None:
    """As any user of the hospital's machine can, in a process list."""
    with ward.attack(Kind.RELEASED, charged=(1, 0)) as line:
        line.ask()
        seen = b""
        for pid in ward.north.workers(line.study):
            for file in ("cmdline", "environ"):
                with contextlib.suppress(OSError):  # it cannot even be read, or that process of the worker has ended
                    seen += Path(f"/proc/{pid}/{file}").read_bytes()
        assert b"datasites.runner.worker" in seen
        assert PASSWORD.encode() not in seen
        assert not any(str(mark).encode() in seen for mark in ward.north.table["mark"])


def test_reads_the_homes_files_as_another_user(ward: Ward) -> None:
    with ward.attack():
        home = ward.north.home
        assert home.path.stat().st_mode & 0o077 == 0
        private = [home.keys, home.peers, home.state, home.pseudonym_key, *home.path.rglob("table.parquet")]
        private += [*home.path.rglob("study.log"), *home.quarantine.glob("*")]
        assert [path for path in private if path.stat().st_mode & 0o077] == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux only")
@pytest.mark.parametrize("command", ["serve", "doctor"])
def test_has_an_agent_serve_where_nothing_can_confine_a_study(ward: Ward, command: str, tmp_path: Path) -> None:
    """Landlock is refused by the kernel and bubblewrap is not there, as on an old or bare machine."""
    seccomp.program()
    with ward.attack():
        argv = WARDROUND[1:-1] + (["datasite", "serve"] if command == "serve" else ["doctor"])
        argv += ["--home", str(ward.south.home.path)] if command == "serve" else []
        ward.south.stop()
        started = [sys.executable, "-c", BARE, *argv]
        env = {**os.environ, "COLUMNS": "200"}
        done = subprocess.run(started, capture_output=True, text=True, timeout=PATIENCE, env=env)
        said = " ".join((done.stdout + done.stderr).split())
        assert done.returncode == (4 if command == "serve" else 1), said
        assert "cannot confine a study's code" in said
        assert "bubblewrap is not installed" in said
        assert "This kernel has no Landlock" in said
        assert "Traceback" not in said
        assert not ward.south.home.heartbeat.exists()
        assert not list(ward.south.home.path.rglob("table.parquet"))
        ward.world.all_serve()
