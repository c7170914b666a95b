"""How long the agent waits for a worker."""

from __future__ import annotations

import select
import time
from collections.abc import Callable

from datasites.runner.errors import Code, WorkerFailed
from datasites.runner.frames import Closed

_TICK = 0.2  # seconds between two looks at `should_stop`, which may ask a database


class Patience:
    """A `frames.Wait` over all the waiting of one call.

    Raises WorkerFailed TIMEOUT when `seconds` are over, WorkerFailed STOPPED when `should_stop` says so, and
    Closed when the process `is_gone` though its pipe is open: a child that it left behind can hold it.
    """

    def __init__(self, seconds: float, should_stop: Callable[[], bool] | None, is_gone: Callable[[], bool]) -> None:
        now = time.monotonic()
        self._deadline = now + seconds
        self._next_look = now + _TICK
        self._should_stop = should_stop or (lambda: False)
        self._is_gone = is_gone

    def __call__(self, descriptor: int, event: int) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        while True:
            self._check()
            if poll.poll(self._milliseconds()):
                return
            if self._is_gone() and not poll.poll(0):
                raise Closed

    def _check(self) -> None:
        now = time.monotonic()
        if now >= self._deadline:
            raise WorkerFailed(Code.TIMEOUT)
        if now >= self._next_look:
            self._next_look = now + _TICK
            if self._should_stop():
                raise WorkerFailed(Code.STOPPED)

    def _milliseconds(self) -> float:
        return max(0.0, min(self._deadline, self._next_look) - time.monotonic()) * 1000 + 1
