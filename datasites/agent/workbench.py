"""One study's worker and gate at a hospital: the approved code, a private view of the table, and two warm processes.

They are started at the first round, kept over rounds, and ended after they were idle for long.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from datasites.approval.policy import PolicyBook
from datasites.approval.vault import Vault
from datasites.catalog.registry import Registry
from datasites.catalog.view import count_view, study_view
from datasites.home import STUDY_LOG, DatasiteHome
from datasites.release.compressed import Compressed, compressed
from datasites.release.examine import Verdict
from datasites.release.gate import Gate, GateFailed, covered
from datasites.release.layout import written_bytes
from datasites.release.terms import Cohort, Terms, terms_of
from datasites.runner.command import TRAINING_FILE
from datasites.runner.errors import Code, WorkerFailed
from datasites.runner.executors.base import Executor, Launch
from datasites.runner.limits import Limits
from datasites.runner.process import Worker
from datasites.runner.replies import Task
from datasites.wire.arrays import Arrays
from datasites.wire.files import private_folder, write_atomically
from datasites.wire.manifest import Manifest
from datasites.wire.spool import Buffer, Spool
from policies.errors import Refused

_NAMES = 4 * 1024 * 1024  # of arrays and metrics, in a result's header


class Workbench:
    def __init__(
        self, home: DatasiteHome, manifest: Manifest, limits: Limits, idle_seconds: float, executor: Executor
    ) -> None:
        self.home = home
        self._executor = executor
        self.manifest = manifest
        self.limits = limits.model_copy(
            update={"seconds_per_round": min(limits.seconds_per_round, manifest.seconds_per_round)}
        )
        self.folder = home.study(manifest.digest)
        self.spool = Spool(self.folder)  # for what of a large model is on its way
        self._idle_seconds = idle_seconds
        self._worker: Worker | None = None
        self._gate: Gate | None = None
        self._cohort: Cohort | None = None
        self._used_at = 0.0

    def call(
        self, task: Task, parameters: Arrays, round_number: int, should_stop: Callable[[], bool], kept: Arrays
    ) -> Buffer:
        """Runs `fit` or `evaluate`; the frame that comes back is for the gate. kept: what the last round left.

        Raises WorkerFailed; after all but code_error the process is gone. Raises Refused when the approved copy is no
        longer what was approved, and NotStarted when the cluster did not start the process.
        """
        code = self._code()  # each call imports it anew from the disk
        worker = self._ready() or self._start(code, should_stop)
        config = {**self.manifest.config, "round": round_number}
        try:
            return worker.call(task, parameters, config, should_stop, kept, self.spool)
        except WorkerFailed as failure:
            if failure.code is not Code.CODE_ERROR:
                self.stop()
            raise
        finally:
            self._used_at = time.monotonic()

    def release(
        self,
        task: Task,
        frame: Buffer,
        sent: Arrays,
        spent: int,
        should_stop: Callable[[], bool],
        noise: float | None = None,
    ) -> Verdict:
        """The gate's verdict on a frame, by the policy in force now. noise: the gate noise that the round has paid for.

        Raises GateFailed, WardroundError for a damaged policy, and WorkerFailed STOPPED; then nothing may leave.
        """
        terms = self._terms(noise)
        self._gate = self._gate or self._open_gate()
        try:
            return self._gate.examine(task, frame, sent, spent, terms, should_stop, self.spool)
        except (GateFailed, WorkerFailed):
            self._gate = None
            raise

    def cover(self, sent: Arrays, noise: float) -> Verdict:
        """Gate noise alone, in place of what may not leave. Raises WardroundError for a damaged policy."""
        return covered(None, sent, self._terms(noise))

    def compress(self, came: Arrays, sent: Arrays, kept: Arrays, noise: float | None) -> Compressed:
        """What the gate let out, as the study wants it to travel. kept: all that the last round left here.

        Raises Unfit, and WardroundError for a damaged policy; then nothing may leave.
        """
        terms = self._terms(noise)
        # gate noise moves a model as far as it moves it; the distance was bounded before
        return compressed(came, sent, kept, terms.contract, terms.clip if noise is None else None)

    def rounding(self) -> int:
        """What the policy in force rounds counts to multiples of. Raises WardroundError for a damaged one."""
        return PolicyBook(self.home).get(self.manifest.dataset).release.min_cell

    def stop_if_idle(self) -> None:
        if self._worker and time.monotonic() - self._used_at > self._idle_seconds:
            self.stop()

    def stop(self) -> None:
        """Ends the processes."""
        for process in (self._worker, self._gate):
            if process:
                process.stop()
        self._worker = self._gate = self._cohort = None

    def clear(self) -> None:
        """Ends the processes and removes the study's view of the table; its log stays for the owner."""
        self.stop()
        for path in (self._table, self._draft, self._scratch):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def _terms(self, noise: float | None) -> Terms:
        policy = PolicyBook(self.home).get(self.manifest.dataset)
        if self._cohort is None:
            rows, patients = count_view(self._table)
            self._cohort = Cohort(rows=rows, patients=patients)
        terms = terms_of(self.manifest, policy, self._cohort, self.home.pseudonym_secret())
        if terms.noise != noise:
            raise Refused("The policy's gate noise is not the one that this round has paid for.", "Ask again.")
        return terms

    @property
    def _table(self) -> Path:
        return self.folder / "table.parquet"

    @property
    def _draft(self) -> Path:
        return self._table.with_suffix(".draft")

    @property
    def _scratch(self) -> Path:
        return self.folder / "scratch"

    def _ready(self) -> Worker | None:
        """The worker, if it is there: a cluster may have ended it since, or be about to."""
        if self._worker and not self._worker.ready:
            self._worker.stop()
            self._worker = None
        return self._worker

    def _start(self, code: Path, should_stop: Callable[[], bool]) -> Worker:
        self._write_table()
        self._gate = self._gate or self._open_gate()  # it gets ready while the worker does
        shutil.rmtree(self._scratch, ignore_errors=True)
        launch = Launch(
            code=code,
            table=self._table,
            scratch=private_folder(self._scratch),
            log=self.folder / STUDY_LOG,
            limits=self._limits(),
            processes=self.manifest.processes,
        )
        self._worker = Worker.run_on(self._executor, launch, should_stop)
        return self._worker

    def _open_gate(self) -> Gate:
        return Gate.start(self.folder / "gate.log", self._limits().output_bytes)

    def _limits(self) -> Limits:
        """Where the owner set no other size, a result may be as large as the study was approved with."""
        contract = self.manifest.outputs
        approved = max(written_bytes("fit", contract), written_bytes("evaluate", contract)) + _NAMES
        if "output_bytes" in self.limits.model_fields_set or approved <= self.limits.output_bytes:
            return self.limits
        return self.limits.model_copy(update={"output_bytes": approved})

    def _code(self) -> Path:
        """The folder to run: the study's approved code, or the approved request to the hospital's own program."""
        vault = Vault(self.home.approved)
        work = vault.manifest(self.manifest.digest).work
        if work is None:
            return vault.code(self.manifest.digest)
        folder, document = private_folder(self.folder / "training"), work.model_dump_json().encode()
        if not (file := folder / TRAINING_FILE).exists() or file.read_bytes() != document:
            write_atomically(file, document)
        return folder

    def _write_table(self) -> None:
        """The view is made once a study, so that a table that changes meanwhile does not change under it."""
        if self._table.exists():
            return
        registry, dataset = Registry(self.home.datasets), self.manifest.dataset
        dictionary = registry.get(dataset).dictionary
        view = study_view(registry.read(dataset), dictionary, self.manifest.columns, self.home.pseudonym_secret())
        self._draft.touch(mode=0o600)
        view.to_parquet(self._draft, index=False)
        self._draft.rename(self._table)
