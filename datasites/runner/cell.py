"""The process of one call, forked from the worker: it gets one task, gives one reply, and is no more.

So nothing that the study's code leaves in memory, in files or in running processes reaches the next call, and it has
no hold on the worker's pipes to the agent.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import select
import signal
import time
from collections.abc import Callable
from itertools import pairwise
from typing import NoReturn

from datasites.runner import log
from datasites.runner.frames import Closed, copy_frame, has_input

_CHECK_SECONDS = 0.1
_PIPE_BYTES = 1024 * 1024


class Ended(Exception):
    """The process ended without a reply, or took too much; `status` is the exit status that says so."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Cell:
    """The worker's end of a forked process that waits for its task."""

    def __init__(self, live: Callable[[int, int], None], keep: tuple[int, ...] = ()) -> None:
        """`live(tasks, replies)` runs in the new process, which has no other open descriptors but those in `keep`."""
        their_tasks, self._tasks = _pipe()
        self._replies, their_replies = _pipe()
        self._output, their_output = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _become(live, their_tasks, their_replies, their_output, keep)
        for descriptor in (their_tasks, their_replies, their_output):
            os.close(descriptor)
        os.set_blocking(self._output, False)
        self._ended = os.pidfd_open(self.pid)

    @property
    def tasks(self) -> int:
        """Where its one task is to be written, as a frame."""
        return self._tasks

    def wait(self, keeper: log.Keeper, check: Callable[[], None]) -> None:
        """Returns when a reply begins, and all that was printed before it is in the log.

        `check` is called about ten times a second, and may raise Ended. Raises Ended.
        """
        poll = select.poll()
        for descriptor in (self._output, self._replies, self._ended):
            poll.register(descriptor, select.POLLIN)
        next_check = time.monotonic() + _CHECK_SECONDS
        while True:
            ready = dict(poll.poll(_CHECK_SECONDS * 1000))
            over = self._ended in ready
            if has_input(self._replies):
                return keeper.drain(self._output)
            if over:
                keeper.drain(self._output)
                raise Ended(self._status())
            if self._output in ready and not keeper.take(self._output):
                poll.unregister(self._output)
            if self._replies in ready:
                poll.unregister(self._replies)  # it closed it; its end will follow, or the time limit
            if time.monotonic() > next_check:
                check()
                next_check = time.monotonic() + _CHECK_SECONDS

    def pass_on(self, target: int) -> None:
        """Moves its reply to `target`. Raises Closed when it breaks off, or nobody reads there."""
        copy_frame(self._replies, target)

    def _status(self) -> int:
        """As a shell gives it: 128 and the signal's number, or what the process returned, but never success."""
        with contextlib.suppress(ChildProcessError):
            code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            return 128 - code if code < 0 else code or 1
        return 1

    def close(self) -> None:
        """Closes the worker's ends."""
        for descriptor in (self._tasks, self._replies, self._output, self._ended):
            os.close(descriptor)


def _pipe() -> tuple[int, int]:
    read, write = os.pipe()
    with contextlib.suppress(OSError):  # only a matter of speed
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return read, write


def _become(live: Callable[[int, int], None], tasks: int, replies: int, output: int, keep: tuple[int, ...]) -> NoReturn:
    """Turns the forked process into one of a call, which never returns into the worker's code."""
    status = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        log.redirect(output)
        _close_all_but(tasks, replies, *keep)
        live(tasks, replies)
        status = 0
    except Closed:  # the worker ended
        status = 0
    except BaseException as error:
        log.write_traceback(error)
    finally:
        os._exit(status)  # the study's atexit hooks and threads have no say in this


def _close_all_but(*kept: int) -> None:
    edges = [2, *sorted(kept), resource.getrlimit(resource.RLIMIT_NOFILE)[0]]
    for before, after in pairwise(edges):
        os.closerange(before + 1, after)
