"""Process limits of the kernel: the least confinement, and a part of every other."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datasites.runner.limits import Limits

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_NO_NEW_PRIVS = 38
_OPEN_FILES = 256


@dataclass(frozen=True)
class ProcessLimits:
    """The `Sandbox` that adds nothing to what the worker does to itself."""

    @property
    def confines(self) -> str:
        """See `Sandbox.confines`."""
        return (
            "Limited: memory of each process, size of each file, number of processes (not for root) and of open "
            "files, time of each call. No privileges can be gained; nothing of the agent's environment is passed on. "
            "Not limited: the code can read and write every file that the agent's user can, use the network, "
            "look at the agent's own process, and leave processes behind that moved to a session of their own."
        )

    def command(self, argv: Sequence[str], reads: Sequence[Path], scratch: Path, limits: Limits) -> list[str]:
        """See `Sandbox.command`; the worker calls `apply` before it imports the study's code."""
        return list(argv)


def apply(limits: Limits) -> None:
    """Limits this process and all that it starts, for good."""
    for kind, wanted in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_CORE, 0),  # a core file would be a copy of the table
        (resource.RLIMIT_NPROC, _tasks_of_user() + limits.processes),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):
        _, hard = resource.getrlimit(kind)
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (value, value))
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def die_with_parent(pipe: int) -> None:
    """Has the kernel kill this process when its parent ends; ends it now if the writer of `pipe` already has."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    poll = select.poll()
    poll.register(pipe, 0)
    if poll.poll(0):
        raise SystemExit(1)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


def _tasks_of_user() -> int:
    """Threads that this user runs now: the kernel counts RLIMIT_NPROC over all of them, not over our children."""
    user, total = os.getuid(), 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is not ours to look at
            if process.stat().st_uid == user:
                total += len(os.listdir(process / "task"))
    return total
