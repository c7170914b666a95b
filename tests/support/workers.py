"""A worker whose results are read here, in the test's own process, which has nothing to fear from its own study."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from datasites.runner.errors import Code, WorkerFailed
from datasites.runner.process import Worker
from datasites.runner.replies import Outcome, Task, decode_result
from policies.errors import InvalidInput


class ReadWorker:
    """Like `Worker`, but for `call`, which returns what is in the frame."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def __getattr__(self, name: str) -> Any:
        return getattr(self._worker, name)

    def __enter__(self) -> ReadWorker:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.stop()

    def call(
        self,
        task: Task,
        parameters: Mapping[str, Any],
        config: Mapping[str, Any],
        should_stop: Callable[[], bool] | None = None,
    ) -> Outcome:
        frame = self._worker.call(task, parameters, config, should_stop)
        try:
            return decode_result(task, frame)
        except InvalidInput:
            raise WorkerFailed(Code.BAD_OUTPUT) from None
