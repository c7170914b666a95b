"""One study's worker at a hospital: the approved code, a private view of the table, and a warm process.

The process is started at the first round, kept over rounds, and ended after it was idle for long.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from datasites.approval.vault import Vault
from datasites.catalog.registry import Registry
from datasites.catalog.view import study_view
from datasites.home import DatasiteHome
from datasites.runner.errors import Code, WorkerFailed
from datasites.runner.limits import Limits
from datasites.runner.process import Worker
from datasites.runner.replies import Outcome, Task
from datasites.runner.sandbox.choose import default_sandbox
from datasites.wire.arrays import Arrays
from datasites.wire.files import private_folder
from datasites.wire.manifest import Manifest


class Workbench:
    def __init__(self, home: DatasiteHome, manifest: Manifest, limits: Limits, idle_seconds: float) -> None:
        self.home = home
        self.manifest = manifest
        self.limits = limits.model_copy(
            update={"seconds_per_round": min(limits.seconds_per_round, manifest.seconds_per_round)}
        )
        self.folder = home.study(manifest.digest)
        self._idle_seconds = idle_seconds
        self._worker: Worker | None = None
        self._used_at = 0.0

    def call(self, task: Task, parameters: Arrays, round_number: int, should_stop: Callable[[], bool]) -> Outcome:
        """Runs `fit` or `evaluate`. Raises WorkerFailed; after all but code_error the process is gone.

        Raises Refused when the approved copy is no longer what was approved.
        """
        code = Vault(self.home.approved).code(self.manifest.digest)  # each call imports it anew from the disk
        worker = self._worker or self._start(code)
        config = {**self.manifest.config, "round": round_number}
        try:
            return worker.call(task, parameters, config, should_stop)
        except WorkerFailed as failure:
            if failure.code is not Code.CODE_ERROR:
                self.stop()
            raise
        finally:
            self._used_at = time.monotonic()

    def stop_if_idle(self) -> None:
        if self._worker and time.monotonic() - self._used_at > self._idle_seconds:
            self.stop()

    def stop(self) -> None:
        """Ends the process."""
        if self._worker:
            self._worker.stop()
            self._worker = None

    def clear(self) -> None:
        """Ends the process and removes the study's view of the table; its log stays for the owner."""
        self.stop()
        for path in (self._table, self._draft, self._scratch):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    @property
    def _table(self) -> Path:
        return self.folder / "table.parquet"

    @property
    def _draft(self) -> Path:
        return self._table.with_suffix(".draft")

    @property
    def _scratch(self) -> Path:
        return self.folder / "scratch"

    def _start(self, code: Path) -> Worker:
        self._write_table()
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._worker = Worker.start(
            code=code,
            table=self._table,
            scratch=private_folder(self._scratch),
            log=self.folder / "study.log",
            limits=self.limits,
            sandbox=default_sandbox(private=True),
        )
        return self._worker

    def _write_table(self) -> None:
        """The view is made once a study, so that a table that changes meanwhile does not change under it."""
        if self._table.exists():
            return
        registered = Registry(self.home.datasets).get(self.manifest.dataset)
        view = study_view(registered.read(), registered.dictionary, self.manifest.columns, self.home.pseudonym_secret())
        self._draft.touch(mode=0o600)
        view.to_parquet(self._draft, index=False)
        self._draft.rename(self._table)
