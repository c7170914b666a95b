"""The same hospital with its processes: the worker in its sandbox, and the release gate in front of what it sends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from datasites.release.gate import Gate
from datasites.release.terms import Terms
from datasites.runner.command import TRAINING_FILE
from datasites.runner.limits import Limits
from datasites.runner.process import Worker
from datasites.runner.sandbox.choose import default_sandbox
from datasites.wire.arrays import Arrays
from datasites.wire.outputs import private_outputs
from datasites.wire.training import Training
from datasites.wire.work import Work
from tests.privacy.canaries import Fit, Hospital


@contextmanager
def behind_gate(folder: Path) -> Iterator[Hospital]:
    """A hospital for one audit; its processes are ended at the end."""
    running: list[Worker | Gate] = []

    def hospital(asked: Training, table: pd.DataFrame) -> Fit:
        (folder / "code").mkdir()
        (folder / "code" / TRAINING_FILE).write_text(Work(asked=asked).model_dump_json())
        table.to_parquet(folder / "table.parquet", index=False)
        limits, terms = Limits(seconds_per_round=120), Terms(contract=private_outputs(asked))
        places = (folder / "code", folder / "table.parquet", folder / "scratch", folder / "log")
        worker = Worker.start(*places, limits=limits, sandbox=default_sandbox(private=True))
        running.append(worker)
        gate = Gate.start(folder / "gate.log", limits.output_bytes)
        running.append(gate)

        def fit(state: Arrays) -> Arrays:
            verdict = gate.examine("fit", worker.call("fit", state, {"round": 1}), state, 0, terms)
            if verdict.released is None:
                raise AssertionError(verdict.details)
            return verdict.released.parameters

        return fit

    try:
        yield hospital
    finally:
        for process in running:
            process.stop()
