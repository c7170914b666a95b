"""The near end of a job on a cluster: a thread that hands bytes on between the worker's pipes and its line.

To the rest of the agent it looks like a worker of this machine.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time
from collections.abc import Callable
from typing import Protocol

from datasites.runner.errors import Code, NotStarted, WorkerFailed
from datasites.runner.executors.base import Stop
from datasites.runner.executors.lines import ALIVE, BEAT_SECONDS, PIECE, SILENCE_SECONDS, Garbled, Kind, Lines, line
from datasites.runner.executors.printed import Printed
from datasites.runner.launch import pipe

log = logging.getLogger(__name__)
_TICK = 0.2  # seconds between two looks at `should_stop`
_SECONDS_TO_JOIN = 10.0
_LOST = 1  # the status of a worker whose end nobody told


class Gone(Exception):
    """The line has ended; the text says why, where that is known: one sentence for the owner."""


class Line(Protocol):
    """A way to the far end. Used by one thread, but for `cancel`."""

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What to wait for until something comes."""
        ...

    def send(self, data: bytes) -> None:
        """All of it. Raises Gone."""
        ...

    def receive(self) -> bytes:
        """What has come by now, perhaps nothing. Raises Gone."""
        ...

    def cancel(self) -> None:
        """Ends the job, and removes all that was made for it. From any thread, more than once, and never fails."""
        ...

    def close(self) -> None:
        """Gives up what it holds on this machine; the last call of the thread."""
        ...

    @property
    def pid(self) -> int:
        """Of the process of this machine that is the line; 0 for none."""
        ...


class Relay:
    """The `Running` of a job on a cluster."""

    def __init__(self, line_: Line, printed: Printed, seconds: float) -> None:
        """printed: takes what the study prints. seconds: after which the cluster will end the job."""
        self._line, self._printed, self._ends_at = line_, printed, time.monotonic() + seconds
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            self._from_agent, self.tasks = pipe(theirs, ours)
            self.replies, self._to_agent = pipe(ours, theirs)
            ours.pop_all()
            self._theirs = theirs.pop_all()
        for descriptor in (self.tasks, self.replies):
            os.set_blocking(descriptor, False)
        self._lines = Lines()
        self._hello, self._stopping = threading.Event(), threading.Event()
        self._status: int | None = None
        self._trouble = ""
        self._heard = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="cluster", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """See `Running.pid`."""
        return self._line.pid

    def status(self) -> int | None:
        """See `Running.status`."""
        return self._status

    def lasts(self, seconds: float) -> bool:
        """See `Running.lasts`."""
        return time.monotonic() + seconds < self._ends_at

    def wait(self, seconds: float, should_stop: Stop, waiting_for: Callable[[], str]) -> None:
        """Returns when the far end has started the worker. waiting_for: what the cluster says meanwhile.

        Raises NotStarted and WorkerFailed STOPPED; then it has been stopped.
        """
        until = time.monotonic() + seconds
        try:
            while not self._hello.wait(_TICK):
                if self._status is not None:
                    raise NotStarted(self._trouble or "The job ended before the study was started in it.")
                if time.monotonic() > until:
                    said = waiting_for() or "it has not begun"
                    raise NotStarted(
                        f"The cluster did not start the job within {seconds:,.0f} seconds: {said}.",
                        "See what else runs there, or raise queue_seconds.",
                    )
                if should_stop():
                    raise WorkerFailed(Code.STOPPED)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """See `Running.stop`."""
        self._stopping.set()
        os.close(self.tasks)
        os.close(self.replies)
        self._line.cancel()
        self._thread.join(_SECONDS_TO_JOIN)

    def _run(self) -> None:
        status = _LOST
        try:
            status = self._relay()
        except Gone as why:
            self._trouble = self._trouble or str(why)
        except Garbled:
            self._trouble = "What came back from the cluster's job is not from Wardround's own program there."
        except OSError:  # the agent has closed its ends
            pass
        finally:
            self._status = status
            if self._trouble and self._hello.is_set():  # else it goes to whoever waits for the start
                log.error("%s", self._trouble)
            self._theirs.close()
            self._line.close()
            self._printed.close()

    def _relay(self) -> int:
        said, poll = time.monotonic(), select.poll()
        for descriptor in self._line.descriptors:
            poll.register(descriptor, select.POLLIN)
        poll.register(self._from_agent, select.POLLIN)
        while not self._stopping.is_set():
            ready = dict(poll.poll(BEAT_SECONDS * 500))
            if self._from_agent in ready:
                task = os.read(self._from_agent, PIECE)
                if not task:
                    return _LOST
                said = time.monotonic()
                self._line.send(line(Kind.BYTES, task))
            status = self._listen()
            if status is not None:
                return status
            if time.monotonic() - said > BEAT_SECONDS:
                said = time.monotonic()
                self._line.send(ALIVE)
        return _LOST

    def _listen(self) -> int | None:
        """Hands on what has come; the worker's status once it has ended. Raises Gone."""
        if came := self._line.receive():
            self._heard = time.monotonic()
        elif self._hello.is_set() and time.monotonic() - self._heard > SILENCE_SECONDS:
            raise Gone("The job on the cluster has been silent for too long.")
        for kind, content in self._lines.feed(came):
            if kind is Kind.BYTES:
                _write(self._to_agent, content)
            elif kind is Kind.PRINTED:
                self._printed.write(content)
            elif kind is Kind.HELLO:
                self._hello.set()
            elif kind is Kind.TROUBLE:
                raise Gone(content.decode(errors="replace"))
            else:
                return _status(content)
        return None


def _status(content: bytes) -> int:
    if not content.isdigit() or int(content) > 255:
        raise Garbled
    return int(content)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
