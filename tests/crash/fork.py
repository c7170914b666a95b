"""Children that die at a line: `kill -9` at every line of a critical section, from a process that has imported all."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

Work = Callable[[], None]
Where = Callable[[CodeType], bool]  # whether the lines of this function count


class ChildFailed(Exception):
    """The work itself raised, or its process ended in another way than it should."""


def in_child(work: Work) -> None:
    """Does the work in a process of its own. Raises ChildFailed, with nothing else of it left."""
    if status := _fork(work):
        raise ChildFailed(f"the work ended with {status}")


def killed_at(work: Work, line: int, where: Where) -> bool:
    """Does the work in a process that is killed before the `line`-th line (counted from 1) that counts, in whatever
    thread. False when it was done before. Raises ChildFailed."""
    status = _fork(lambda: _traced(work, line, where))
    if status not in (0, -signal.SIGKILL):
        raise ChildFailed(f"the work ended with {status} before its line {line}")
    return status != 0


def lines_of(work: Work, where: Where) -> int:
    """How many lines that count the work runs, all threads together."""
    read, write = os.pipe()
    try:
        counter = _Counter(0, where)

        def counted() -> None:
            counter.install()
            work()
            sys.settrace(None)
            os.write(write, str(counter.seen).encode())

        in_child(counted)
        return int(os.read(read, 64))
    finally:
        os.close(read)
        os.close(write)


class _Counter:
    """A trace function that counts lines and kills its process at one of them (0: at none)."""

    def __init__(self, line: int, where: Where) -> None:
        self.seen, self._line, self._where = 0, line, where

    def install(self) -> None:
        threading.settrace(self)
        sys.settrace(self)

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._count if self._where(frame.f_code) else None

    def _count(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            self.seen += 1
            if self.seen == self._line:
                os.kill(os.getpid(), signal.SIGKILL)
        return self._count


def _traced(work: Work, line: int, where: Where) -> None:
    _Counter(line, where).install()
    work()


def _fork(work: Work) -> int:
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
