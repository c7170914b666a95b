"""The agent's end of the gate: a process of the hospital's own that reads what the study's process sent."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from datasites.release.examine import Verdict
from datasites.release.layout import leaving_bytes, written_bytes
from datasites.release.noise import noised
from datasites.release.terms import Terms
from datasites.release.words import READY, REASON_BYTES, decode_verdict
from datasites.runner.errors import Code, WorkerFailed
from datasites.runner.frames import Closed, TooLarge, has_input, read_frame, read_large, write_frame
from datasites.runner.launch import kill, pipe, start
from datasites.runner.limits import GIB, MIB
from datasites.runner.replies import Outcome, Task
from datasites.runner.waiting import Patience
from datasites.training.private.randomness import SecureRandom
from datasites.wire.arrays import Arrays, packed
from datasites.wire.contract import array_problems
from datasites.wire.reasons import Reason
from datasites.wire.spool import MEMORY, Buffer, Spool
from policies.errors import InvalidInput, WardroundError

_SECONDS = 120.0  # a result of the greatest size takes a few
_LOG_BYTES = MIB
_COPIES = 6  # of a result that exist at once, while it is decoded, compared and written
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class GateFailed(WardroundError):
    """The gate died, hung or talked nonsense: nothing leaves. The gate is gone; start another one."""


class Gate:
    """A running gate. Use it from one thread. Nothing that it says can make the agent release what is not exactly of
    the contract's names, shapes and dtypes, even if a result has taken it over."""

    def __init__(self, process: subprocess.Popen[bytes], tasks: int, replies: int) -> None:
        self._process, self._tasks, self._replies = process, tasks, replies
        self._ready = self._stopped = False

    @classmethod
    def start(cls, log: Path, output_bytes: int) -> Self:
        """Starts a gate for results of up to `output_bytes`, and does not wait for it. `log` takes its traceback."""
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            their_tasks, our_tasks = pipe(theirs, ours)
            our_replies, their_replies = pipe(ours, theirs)
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            theirs.callback(os.close, output)
            numbers = (their_tasks, their_replies, 2 * GIB + _COPIES * output_bytes, _LOG_BYTES)
            process = start(
                [sys.executable, "-I", "-B", "-m", "datasites.release.inside", *map(str, numbers)],
                cwd="/",
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(their_tasks, their_replies),
                start_new_session=True,
            )
            for descriptor in (our_tasks, our_replies):
                os.set_blocking(descriptor, False)
            ours.pop_all()
            return cls(process, our_tasks, our_replies)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def examine(
        self,
        task: Task,
        frame: Buffer,
        sent: Arrays,
        spent: int,
        terms: Terms,
        should_stop: Callable[[], bool] | None = None,
        spool: Spool = MEMORY,
    ) -> Verdict:
        """What may leave of a worker's frame; see `examine.examine`, and `noise` where the policy has gate noise.

        `sent` is the state it was made from, `spent` the bytes let out in this round so far, `spool` where a large
        result lies. Raises GateFailed, and
        WorkerFailed STOPPED when `should_stop` says so; after either the gate is gone.
        """
        verdict = self._judged(task, frame, sent, spent, terms, should_stop, spool)
        return verdict if terms.noise is None or verdict.released is None else covered(verdict.released, sent, terms)

    def _judged(
        self,
        task: Task,
        frame: Buffer,
        sent: Arrays,
        spent: int,
        terms: Terms,
        should_stop: Callable[[], bool] | None,
        spool: Spool,
    ) -> Verdict:
        """The gate's own words."""
        if self._stopped:
            raise GateFailed("The gate has been stopped.")
        patience = Patience(_SECONDS, should_stop, self._is_gone)
        most = max(REASON_BYTES, written_bytes(task, terms.contract)) + 1
        state = packed({}, sent) if terms.noise is None and terms.clip is not None else b""
        header = json.dumps({"task": task, "spent": spent}).encode()
        try:
            if not self._ready:
                if read_frame(self._replies, len(READY), patience) != READY:
                    raise InvalidInput("It does not say that it is ready.")
                self._ready = True
            if has_input(self._replies):
                raise InvalidInput("It answered before it was asked.")
            for part in (header, terms.model_dump_json().encode(), state, frame):
                write_frame(self._tasks, part, patience)
            return decode_verdict(task, read_large(self._replies, most, patience, spool), terms.contract)
        except (Closed, TooLarge, InvalidInput, WorkerFailed) as surprise:
            self.stop()
            if isinstance(surprise, WorkerFailed) and surprise.code is Code.STOPPED:
                raise
            raise GateFailed(f"The release gate failed: {type(surprise).__name__}.", "See gate.log.") from None
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kills the gate. May be called again."""
        if self._stopped:
            return
        self._stopped = True
        kill(self._process)
        os.close(self._tasks)
        os.close(self._replies)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _is_gone(self) -> bool:
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def covered(outcome: Outcome | None, sent: Arrays, terms: Terms) -> Verdict:
    """The update with the policy's gate noise; None stands for a result that may not leave, and gives noise alone."""
    if terms.noise is None or terms.clip is None:
        raise ValueError("the policy has no gate noise")
    if array_problems(sent, terms.contract.parameters):
        return Verdict(None, Reason.CONTRACT, ("the state that was sent is not the contract's",))
    if terms.rules and leaving_bytes("fit", terms.contract) > terms.rules.bytes_per_round:
        return Verdict(None, Reason.OUTPUTS, ("the model has more bytes than may leave in a round",))
    if outcome is None:
        return Verdict(noised(None, sent, terms.clip, terms.noise, SecureRandom.fresh()))
    covered_ = noised(outcome.parameters, sent, terms.clip, terms.noise, SecureRandom.fresh())
    return Verdict(replace(covered_, kept=outcome.kept))  # it does not leave, so it needs no noise
