"""The workers of a simulation: as many as the machine has cores, each with all hospitals' rows.

They are the hospital's own workers, in its sandbox, with a process for each call. A hospital of the simulation is a
range of rows, so that 200 of them need no more memory than one table.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import accumulate
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

import pandas as pd

from datasites.runner.errors import Code, WorkerFailed
from datasites.runner.limits import Limits
from datasites.runner.process import Worker
from datasites.runner.replies import Task
from datasites.runner.sandbox.choose import default_sandbox
from datasites.wire.arrays import Arrays
from datasites.wire.canonical import digest_of
from datasites.wire.spool import Buffer
from researcher.study import Study

_WRAPPER = Path(__file__).with_name("wrapper.py")
_SIMULATED = "simulated"  # as in the wrapper
_NOBODY = ""


class Crew:
    """Use it in a `with` block, which ends the workers."""

    def __init__(
        self, study: Study, views: Mapping[str, pd.DataFrame], seed: int, processes: int | None, folder: Path
    ) -> None:
        self._folder, self.seed = folder, seed
        self._config = dict(study.config)
        self._limits = Limits(seconds_per_round=study.seconds_per_round)
        ends = accumulate(len(view) for view in views.values())
        self._rows = {h: (end - len(view), end) for (h, view), end in zip(views.items(), ends, strict=True)}
        for path, data in study.files().items():
            target = folder / "code" / "inner" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        (folder / "code" / "study.py").write_bytes(_WRAPPER.read_bytes())
        pd.concat(views.values(), ignore_index=True).to_parquet(folder / "table.parquet", index=False)
        self._ranks = study.processes
        self._size = processes or os.cpu_count() or 1
        self._free: SimpleQueue[Worker] = SimpleQueue()
        self._all: list[Worker] = []
        self.pool = ThreadPoolExecutor(self._size, thread_name_prefix="simulation")

    def __enter__(self) -> Self:
        with ExitStack() as ending:
            ending.callback(self._end)
            for worker in self.pool.map(self._start, range(self._size)):
                self._free.put(worker)
            ending.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def log(self) -> Path:
        """What the study prints, of all hospitals."""
        return self._folder / "log"

    @property
    def functions(self) -> frozenset[Task]:
        return self._all[0].functions

    def call(self, task: Task, hospital: str, parameters: Arrays, number: int, kept: Arrays | None = None) -> Buffer:
        """One function of the study at one hospital. From any thread. Raises WorkerFailed.

        What it gives depends on the study, the rows, the parameters, what the hospital kept, the message's number and
        the seed alone, if the study takes its random numbers from Python's, NumPy's or PyTorch's global generators, or
        seeds its own.
        """
        config = {**self._config, "round": number, _SIMULATED: self._told(task, hospital, number)}
        worker = self._free.get()
        try:
            return worker.call(task, parameters, config, kept=kept or {})
        except WorkerFailed as failure:
            if failure.code is not Code.CODE_ERROR:
                worker = self._start(len(self._all))
            raise
        finally:
            self._free.put(worker)

    def initialize(self) -> Buffer:
        """The frame of the first state."""
        return self.call("initialize", _NOBODY, {}, 0)

    def _told(self, task: Task, hospital: str, number: int) -> dict[str, Any]:
        digest = digest_of([self.seed, task, hospital, number])
        return {"rows": self._rows.get(hospital, (0, 0)), "seed": int(digest[:8], 16)}

    def _start(self, index: int) -> Worker:
        worker = Worker.start(
            code=self._folder / "code",
            table=self._folder / "table.parquet",
            scratch=self._folder / f"scratch-{index}",
            log=self.log,
            limits=self._limits,
            sandbox=default_sandbox(private=False),
            processes=self._ranks,
        )
        self._all.append(worker)
        return worker

    def _end(self) -> None:
        self.pool.shutdown(cancel_futures=True)
        for worker in self._all:
            worker.stop()
