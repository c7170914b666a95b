"""What an executor is: it turns what is to be run into a running worker, with a pipe for tasks and one for replies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from datasites.runner.limits import Limits

Stop = Callable[[], bool]
"""Asked now and then while something is waited for; True when it is not wanted any more (a revocation)."""


@dataclass(frozen=True)
class Launch:
    """What is to be run. All of it is the hospital's: of the submitter's are only the bytes in `code`.

    code, table, scratch, log: as of `Worker.start`. processes: of the study, that train together (see `ranks.py`).
    """

    code: Path
    table: Path
    scratch: Path
    log: Path
    limits: Limits
    processes: int = 1


class Running(Protocol):
    """A worker that was started. Whoever holds it ends it with `stop`."""

    @property
    def tasks(self) -> int:
        """Where tasks are written as frames, non-blocking."""
        ...

    @property
    def replies(self) -> int:
        """Where replies are read as frames, non-blocking; at its end when the worker is gone."""
        ...

    @property
    def pid(self) -> int:
        """The process of this machine that is the worker, or speaks to it; 0 where a thread does."""
        ...

    def status(self) -> int | None:
        """None while it runs; then its exit status as a shell gives it: 128 and the signal's number."""
        ...

    def lasts(self, seconds: float) -> bool:
        """Whether it may go on for so long, as far as its cluster is concerned."""
        ...

    def stop(self) -> None:
        """Ends all that was started, removes what was put anywhere for it, and closes the pipes. Once."""
        ...


class Executor(Protocol):
    """A place to run workers."""

    @property
    def name(self) -> str:
        """As in the setting `executor`."""
        ...

    def problem(self) -> tuple[str, str]:
        """Why it cannot be used now, and what to do about it, a sentence each; two empty ones where it can."""
        ...

    def tidy(self) -> None:
        """Ends and removes what an agent before this one, which was killed, has left on the cluster."""
        ...

    def start(self, launch: Launch, should_stop: Stop) -> Running:
        """Returns when the worker has been started, which on a cluster may take as long as its queue does.

        Raises NotStarted with one sentence for the owner when it cannot be, Unavailable where there is no sandbox,
        and WorkerFailed STOPPED when `should_stop` says so. Then nothing of it is left anywhere.
        """
        ...
