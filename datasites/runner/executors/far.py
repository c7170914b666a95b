"""The far end of a job on a cluster: what the hospital's agent does on its own machine, done where the job runs.

Started there as `python -I -m datasites.runner.executors.far ERRAND`. It chooses the sandbox of that machine and starts
the worker in it, or refuses; then it hands bytes on. When the agent is silent or gone, the worker is killed at once.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import tempfile
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from datasites.runner.executors.base import Launch
from datasites.runner.executors.lines import ALIVE, BEAT_SECONDS, PIECE, SILENCE_SECONDS, Garbled, Kind, Lines, line
from datasites.runner.executors.local import Local, Process
from datasites.runner.limits import Limits
from datasites.runner.sandbox.choose import default_sandbox
from policies.errors import WardroundError

_IN, _OUT = 0, 1
_MOST_WAITING = 1 << 20  # bytes for a worker that does not read


class Errand(BaseModel):
    """What the far end is told on its command line: no secrets, since others of the cluster can read that.

    code, table: as they are called there. scratch: a folder that it may write; one of its own is made in it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: Path
    table: Path
    scratch: Path
    limits: Limits
    processes: int = 1

    def argv(self, python: str) -> list[str]:
        """Isolated from environment variables, user packages and the working folder; writes no bytecode."""
        return [python, "-I", "-B", "-m", "datasites.runner.executors.far", self.model_dump_json()]


def main() -> None:
    """Runs the worker until it ends or the agent does."""
    errand = Errand.model_validate_json(sys.argv[1])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # the cluster takes the job back
    with tempfile.TemporaryDirectory(prefix="wardround-", dir=errand.scratch) as scratch:
        try:
            sandbox = default_sandbox(private=True)
            launch = Launch(
                code=errand.code,
                table=errand.table,
                scratch=Path(scratch),
                log=Path(os.devnull),
                limits=errand.limits,
                processes=errand.processes,
            )
            printed, output = os.pipe()
            worker = Local(sandbox, output).start(launch)
            os.close(output)
            os.set_blocking(printed, False)
        except (WardroundError, OSError) as why:
            _say(line(Kind.TROUBLE, str(why).encode()[:PIECE]))
            return
        try:
            _say(line(Kind.HELLO, sandbox.name.encode()))
            _FarEnd(worker, printed).serve()
        finally:
            worker.stop()


class _FarEnd:
    def __init__(self, worker: Process, printed: int) -> None:
        self._worker, self._printed = worker, printed
        self._ended = os.pidfd_open(worker.pid)
        self._lines, self._waiting = Lines(), b""
        self._heard = self._said = time.monotonic()

    def serve(self) -> None:
        """Returns when the worker has ended and that was told, or when the agent has gone."""
        while True:
            ready = self._poll()
            if _IN in ready and not self._hear():
                return
            if self._waiting:
                self._hand_on()
            self._pass_prints_back()
            if self._worker.replies in ready:
                self._pass_back()
            elif self._ended in ready:
                _say(line(Kind.ENDED, str(self._worker.status()).encode()))
                return
            now = time.monotonic()
            if now - self._heard > SILENCE_SECONDS:
                return
            if now - self._said > BEAT_SECONDS:
                self._said = now
                _say(ALIVE)

    def _poll(self) -> dict[int, int]:
        poll = select.poll()
        poll.register(_IN, select.POLLIN if len(self._waiting) < _MOST_WAITING else 0)
        for descriptor in (self._worker.replies, self._printed, self._ended):
            poll.register(descriptor, select.POLLIN)
        if self._waiting:
            poll.register(self._worker.tasks, select.POLLOUT)
        ready = dict(poll.poll(BEAT_SECONDS * 1000 / 2))
        if not ready.get(self._worker.replies, 0) & select.POLLIN:
            ready.pop(self._worker.replies, None)  # closed: the worker's end follows
        return ready

    def _hear(self) -> bool:
        """Whether the agent is still there."""
        data = os.read(_IN, 1 << 16)
        self._heard = time.monotonic()
        try:
            for kind, content in self._lines.feed(data):
                if kind is Kind.BYTES:
                    self._waiting += content
        except Garbled:
            return False
        return bool(data)

    def _hand_on(self) -> None:
        try:
            self._waiting = self._waiting[os.write(self._worker.tasks, self._waiting) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._waiting = b""

    def _pass_prints_back(self) -> None:
        """All that there is by now: the worker has written it before the reply."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._printed, PIECE):
                _say(line(Kind.PRINTED, data))

    def _pass_back(self) -> None:
        data = os.read(self._worker.replies, PIECE)
        if data:
            self._said = time.monotonic()
            _say(line(Kind.BYTES, data))


def _say(text: bytes) -> None:
    view = memoryview(text)
    while view:
        view = view[os.write(_OUT, view) :]


if __name__ == "__main__":
    main()
