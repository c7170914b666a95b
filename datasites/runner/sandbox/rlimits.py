"""Process limits of the kernel: the least confinement, and a part of every other."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datasites.runner.limits import Limits
from datasites.runner.sandbox import privileges
from datasites.runner.sandbox.base import Inside

_OPEN_FILES = 256


@dataclass(frozen=True)
class ProcessLimits:
    """The `Sandbox` that adds nothing to what the worker does to itself."""

    @property
    def name(self) -> str:
        """See `Sandbox.name`."""
        return "process limits"

    @property
    def confines(self) -> str:
        """See `Sandbox.confines`."""
        return (
            "Limited: memory of each process, size of each file, number of processes (not for root) and of open "
            "files, processor time and time of each call. No privileges can be gained; nothing of the agent's "
            "environment is passed on. Not limited: the code can read and write every file that the agent's user "
            "can, use the network, look at the agent's own process, and leave processes behind that moved to a "
            "session of their own."
        )

    @property
    def inside(self) -> Inside:
        """See `Sandbox.inside`."""
        return Inside.NOTHING

    @property
    def own_network(self) -> bool:
        """See `Sandbox.own_network`."""
        return True

    def command(
        self, argv: Sequence[str], reads: Sequence[Path], scratch: Path, limits: Limits, *, several: bool = False
    ) -> list[str]:
        """See `Sandbox.command`; the worker calls `apply` before it imports the study's code."""
        return list(argv)


def apply(limits: Limits) -> None:
    """Limits this process and all that it starts, for good."""
    for kind, wanted in (
        # CUDA reserves addresses for all memory of machine and cards; what is really used is watched by the worker
        (resource.RLIMIT_AS, resource.RLIM_INFINITY if limits.gpus else limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_CORE, 0),  # a core file would be a copy of the table
        (resource.RLIMIT_NPROC, _tasks_of_user() + limits.processes),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):
        _, hard = resource.getrlimit(kind)
        value = min((one for one in (wanted, hard) if one != resource.RLIM_INFINITY), default=resource.RLIM_INFINITY)
        resource.setrlimit(kind, (value, value))
    privileges.no_new_privileges()


def die_with_parent(pipe: int) -> None:
    """Has this process and its group killed when its parent ends; ends it now if the writer of `pipe` already has."""
    signal.signal(signal.SIGTERM, _kill_group)
    privileges.when_parent_ends(signal.SIGTERM)
    poll = select.poll()
    poll.register(pipe, 0)
    if poll.poll(0):
        raise SystemExit(1)


def _kill_group(*_: object) -> None:
    os.killpg(0, signal.SIGKILL)


def _tasks_of_user() -> int:
    """Threads that this user runs now: the kernel counts RLIMIT_NPROC over all of them, not over our children."""
    user, total = os.getuid(), 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is not ours to look at
            if process.stat().st_uid == user:
                total += len(os.listdir(process / "task"))
    return total
