"""This machine: the worker is a process of the agent's own, in the sandbox that the machine offers."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

from datasites.runner.executors.base import Launch, Stop
from datasites.runner.launch import kill, spawn
from datasites.runner.sandbox.base import Sandbox


class Process:
    """The `Running` of a child of this process."""

    def __init__(self, process: subprocess.Popen[bytes], tasks: int, replies: int) -> None:
        self._process, self.tasks, self.replies = process, tasks, replies

    @property
    def pid(self) -> int:
        """See `Running.pid`; it leads a session and process group of its own."""
        return self._process.pid

    def status(self) -> int | None:
        """See `Running.status`."""
        # WNOWAIT: not reaped yet, so that its number stays the name of its group until stop() has killed that
        end = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if end is None:
            return None
        return end.si_status if end.si_code == os.CLD_EXITED else 128 + end.si_status

    def lasts(self, seconds: float) -> bool:
        """See `Running.lasts`: here nothing ends it but this process."""
        return True

    def stop(self) -> None:
        """See `Running.stop`."""
        kill(self._process)
        os.close(self.tasks)
        os.close(self.replies)


@dataclass(frozen=True)
class Local:
    """The `Executor` of this machine, and the default."""

    sandbox: Sandbox
    output: int | None = None  # a descriptor that takes what is printed, in place of the log file

    @property
    def name(self) -> str:
        """See `Executor.name`."""
        return "local"

    def problem(self) -> tuple[str, str]:
        """See `Executor.problem`: its sandbox was tried before it was made."""
        return "", ""

    def tidy(self) -> None:
        """See `Executor.tidy`: workers of this machine end with their agent."""

    def start(self, launch: Launch, should_stop: Stop = lambda: False) -> Process:
        """See `Executor.start`; there is nothing to wait for."""
        return Process(*spawn(launch, self.sandbox, self.output))
