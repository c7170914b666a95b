"""What a call may leave behind, and its removal: processes and files."""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

_SECONDS_TO_END = 20.0  # a process that is killed needs the processor to end, and on a busy machine may wait for it
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class StillThere(Exception):
    """Something of the call could not be removed, so this worker must not answer another one."""


def processes(keep: int) -> list[int]:
    """The processes of this one's group but itself and `keep`. A study in a sandbox cannot leave the group."""
    group, kept = os.getpgrp(), (os.getpid(), keep)
    return [pid for pid in _all() if pid not in kept and _group(pid) == group]


def memory_bytes(pids: list[int]) -> int:
    """Resident memory of all of them, but for files; what forked processes share counts for each."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError):  # it ended
            _, resident, of_files, *_ = map(int, Path(f"/proc/{pid}/statm").read_text().split())
            total += (resident - of_files) * _PAGE
    return total


def processor_seconds(pids: list[int]) -> float:
    """Of all of them, ended ones that nobody waited for too, and of their children that they waited for."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError):  # it ended
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime of proc(5)
    return ticks / _TICKS


def processor_seconds_of_ended() -> float:
    """Of this process's children so far, adopted ones too, that have been waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def end_processes(keep: int) -> None:
    """Kills this process's group but itself and `keep`, and waits for their end. Raises StillThere."""
    until = time.monotonic() + _SECONDS_TO_END
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        left = processes(keep)
        if not left:
            return
        if time.monotonic() > until:
            raise StillThere
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.0002)


def empty(folder: Path) -> None:
    """Removes all that is in `folder`, however deep, without following any link. Raises StillThere."""
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    fresh = (f".wardround-{number}" for number in itertools.count())
    try:
        while names := os.listdir(top):
            for name in names:
                _remove(name, top, fresh)
    except OSError:
        raise StillThere from None
    finally:
        os.close(top)


def _remove(name: str, top: int, fresh: Iterator[str]) -> None:
    """A file; or a folder, whose content is first moved up to `top`, where its turn will come."""
    try:
        os.unlink(name, dir_fd=top)
        return
    except IsADirectoryError:
        pass
    os.chmod(name, 0o700, dir_fd=top)
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
    try:
        taken = set(os.listdir(top))
        for below in os.listdir(inner):
            os.rename(below, next(n for n in fresh if n not in taken), src_dir_fd=inner, dst_dir_fd=top)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=top)


def _all() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except OSError:
        return -1
