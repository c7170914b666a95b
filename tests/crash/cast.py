"""The processes of the storm, forked from one that has imported all: agents, the researcher, the command line."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from datasites.agent import Agent
from datasites.cli import main as command_line
from datasites.home import DatasiteHome
from datasites.settings import DatasiteSettings


class Process:
    """A forked child that does `work`; what it prints goes to `log`. It can be killed at any time."""

    def __init__(self, work: Callable[[], None], log: Path) -> None:
        sys.stdout.flush()
        self.status: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            _be(work, log)

    def ended(self) -> bool:
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def wait(self) -> int:
        if self.status is None:
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def kill(self) -> bool:
        """kill -9; whether it was still running."""
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)
        return self.wait() == -signal.SIGKILL

    def stop(self) -> None:
        if not self.ended():
            os.kill(self.pid, signal.SIGINT)
        self.wait()

    def family(self) -> list[int]:
        """All processes below it: workers, their sandboxes and calls, and whatever else an agent may start."""
        parents = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        found, news = [], [self.pid]
        while news:
            news = [pid for pid, parent in parents.items() if parent in news]
            found += news
        return sorted(found)


def agent(home: Path) -> Callable[[], None]:
    def work() -> None:
        logging.disable(logging.NOTSET)
        logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", force=True)
        serving = Agent(DatasiteHome(home), DatasiteSettings.load(home))
        signal.signal(signal.SIGINT, lambda *_: serving.stopping.set())
        serving.serve()

    return work


def command(*words: str) -> Callable[[], None]:
    """`wardround WORDS`."""

    def work() -> None:
        sys.argv = ["wardround", *words]
        command_line()

    return work


def _be(work: Callable[[], None], log: Path) -> None:
    status = 1
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for standard in (1, 2):
            os.dup2(descriptor, standard)
        work()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
