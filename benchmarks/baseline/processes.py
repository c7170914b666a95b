"""Daemons of a benchmark: started together, watched, and gone at the end with all that they started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.baseline.workload import BaselineFailed

_GRACE = 10.0  # seconds between asking and killing
_MARK = "WARDROUND_BENCHMARK"  # an environment variable that children inherit, even those that leave their group


class Daemons:
    """Processes that write to `folder`/NAME.log and must stay alive until the end."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = dict(environment) | {_MARK: str(folder)}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str]) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self._running[name] = subprocess.Popen(
                command, env=self.environment, cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def check(self) -> None:
        """Raises BaselineFailed, with the end of its log, for a daemon that ended."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise BaselineFailed(f"{name} ended with status {process.returncode}:\n{self.log(name)}")

    def log(self, name: str, lines: int = 15) -> str:
        return "\n".join((self.folder / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])

    def logs(self) -> str:
        return "\n".join(f"--- {name}\n{self.log(name)}" for name in self._running)

    def stop(self) -> None:
        for process in self._running.values():
            process.terminate()
        deadline = time.monotonic() + _GRACE
        for process in self._running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
        for pid in self._descendants():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._running.values():
            process.wait()

    def _descendants(self) -> list[int]:
        """Every process that carries this folder's mark: children of children in sessions of their own too (Linux)."""
        mark = f"{_MARK}={self.folder}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return found


@contextmanager
def daemons(folder: Path, environment: Mapping[str, str]) -> Iterator[Daemons]:
    """Stops what was started in it, however it ends."""
    running = Daemons(folder, environment)
    try:
        yield running
    finally:
        running.stop()


def free_port() -> int:
    """A port of the loopback interface that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, running: Daemons, deadline: float) -> None:
    """Until something listens on the loopback port. deadline: on time.monotonic's clock; BaselineFailed after it."""
    while time.monotonic() < deadline:
        running.check()
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.2)
    raise BaselineFailed(f"Nothing listens on port {port}:\n{running.logs()}")
