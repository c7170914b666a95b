"""The outside of a worker: what the agent (and a rehearsal) holds."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from datasites.runner.command import STUDY_MODULE, TRAINING_FILE, has_code
from datasites.runner.errors import Code, WorkerFailed
from datasites.runner.executors.base import Executor, Launch, Running
from datasites.runner.executors.local import Local
from datasites.runner.frames import Closed, TooLarge, has_input, read_frame, read_large, write_frame
from datasites.runner.limits import Limits
from datasites.runner.replies import Task, decode_ready, failure
from datasites.runner.sandbox.base import Sandbox
from datasites.runner.tasks import encode_call
from datasites.runner.waiting import Patience
from datasites.wire.pieces import Pieces
from datasites.wire.spool import MEMORY, Buffer, Spool
from policies.errors import InvalidInput

_MAX_READY = 64 * 1024
_SECONDS_TO_DIE = 2.0
_BY_SIGNAL: dict[int, Code] = {signal.SIGKILL: Code.OUT_OF_MEMORY, signal.SIGXCPU: Code.TIMEOUT}


class Worker:
    """A running worker of one study. Use it from one thread, and in a `with` block, which stops it."""

    def __init__(self, running: Running, log: Path, limits: Limits) -> None:
        self._running = running
        self._log = log
        self._limits = limits
        self._stopped = False
        self.functions: frozenset[Task] = frozenset()

    @classmethod
    def start(
        cls, code: Path, table: Path, scratch: Path, log: Path, limits: Limits, sandbox: Sandbox, processes: int = 1
    ) -> Self:
        """Starts a worker on this machine, on the study in folder `code` and the Parquet file `table`.

        A folder without study.py holds training.json: the hospital's own training runs then, and no other code.

        `scratch` becomes its home and working folder, `log` the file (appended to) that takes what it prints;
        `processes` train together. Otherwise as `run_on`.
        """
        return cls.run_on(Local(sandbox), Launch(code, table, scratch, log, limits, processes))

    @classmethod
    def run_on(cls, executor: Executor, launch: Launch, should_stop: Callable[[], bool] = lambda: False) -> Self:
        """Starts a worker where the executor runs them, and waits until it is ready.

        Returns with `functions` set: which of initialize, fit and evaluate the study has. Raises InvalidInput when
        code or table are not there, WorkerFailed when it does not get ready, and what the executor raises; then no
        process is left.
        """
        places = {name: getattr(launch, name).resolve() for name in ("code", "table", "scratch")}
        launch = replace(launch, **places)
        code = launch.code
        if not (has_code(code) or (code / TRAINING_FILE).is_file()) or not launch.table.is_file():
            raise InvalidInput("The study's code or its table is not there.", f"Put {STUDY_MODULE}.py into its folder.")
        launch.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        worker = cls(executor.start(launch, should_stop), launch.log, launch.limits)
        with worker._failures():
            patience = Patience(launch.limits.start_seconds, should_stop, worker._is_gone)
            worker.functions = decode_ready(read_frame(worker._running.replies, _MAX_READY, patience))
        return worker

    @property
    def alive(self) -> bool:
        """Whether it can still be called."""
        return not self._stopped

    @property
    def ready(self) -> bool:
        """Whether it is there, and may be there until the longest call that it could be given now is over."""
        return self.alive and not self._is_gone() and self._running.lasts(self._limits.seconds_per_round)

    @property
    def pid(self) -> int:
        """The process of this machine that is the worker, or speaks to it; 0 where a thread does."""
        return self._running.pid

    def call(
        self,
        task: Task,
        parameters: Mapping[str, Any],
        config: Mapping[str, Any],
        should_stop: Callable[[], bool] | None = None,
        kept: Mapping[str, Any] = MappingProxyType({}),
        spool: Spool = MEMORY,
    ) -> Buffer:
        """Runs one function of the study. Returns the frame of its result, unread: see `replies.decode_result`.

        `config` holds JSON values; `kept` is what the study's last training here left. `should_stop` is asked about
        every 0.2 s; True kills the worker (a revocation). spool: where a large result lies.
        Raises InvalidInput, leaving the worker as it is, when the study lacks the function or the input cannot be
        sent; WorkerFailed otherwise, after which it is dead unless the code is CODE_ERROR.
        """
        if self._stopped:
            raise WorkerFailed(Code.DIED, self._log)
        message = self._message(task, parameters, config, kept)
        with self._failures():
            if has_input(self._running.replies):  # an answer to no question: from here on replies could be out of step
                raise WorkerFailed(Code.BAD_OUTPUT)
            patience = Patience(self._limits.seconds_per_round, should_stop, self._is_gone)
            write_frame(self._running.tasks, message, patience)
            reply = read_large(self._running.replies, self._limits.output_bytes, patience, spool)
            if code := failure(reply):
                raise WorkerFailed(code)
            return reply

    def stop(self) -> None:
        """Kills the worker and its process group, and waits until it is gone. May be called again."""
        if self._stopped:
            return
        self._stopped = True
        self._running.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _message(
        self, task: Task, parameters: Mapping[str, Any], config: Mapping[str, Any], kept: Mapping[str, Any]
    ) -> Pieces:
        if task not in self.functions:
            raise InvalidInput(f"The study has no function {task!r}.", f"Define it in {STUDY_MODULE}.py.")
        try:
            return encode_call(task, parameters, config, kept)
        except (TypeError, ValueError):
            raise InvalidInput("The configuration holds what JSON cannot.", "Use text, numbers and lists.") from None

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        """Turns whatever goes wrong into WorkerFailed, and leaves no worker that is out of step or unwanted."""
        try:
            yield
        except WorkerFailed as failure:
            if failure.code is not Code.CODE_ERROR or not self.functions:  # no functions: it failed to start
                self.stop()
            raise WorkerFailed(failure.code, self._log) from None
        except (Closed, TooLarge, InvalidInput) as surprise:
            code = self._code(surprise)
            self.stop()
            raise WorkerFailed(code, self._log) from None
        except BaseException:  # KeyboardInterrupt in a notebook, an error of should_stop
            self.stop()
            raise

    def _code(self, surprise: Exception) -> Code:
        if isinstance(surprise, TooLarge):
            return Code.OUTPUT_TOO_LARGE
        if isinstance(surprise, InvalidInput):
            return Code.BAD_OUTPUT
        return _BY_SIGNAL.get(self._last_signal(), Code.DIED)

    def _last_signal(self) -> int:
        """Of which it died, or says that its call died; 0 for none. The kernel kills where memory runs out."""
        until = time.monotonic() + _SECONDS_TO_DIE
        while not self._is_gone() and time.monotonic() < until:
            time.sleep(0.005)
        return max(0, (self._running.status() or 0) - 128)

    def _is_gone(self) -> bool:
        return self._running.status() is not None
