"""Real workers on small studies that need only NumPy, so that they start quickly."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from datasites.runner.limits import Limits
from datasites.runner.process import Worker
from datasites.runner.sandbox.base import Sandbox
from datasites.runner.sandbox.choose import default_sandbox
from tests.support.workers import ReadWorker

StartStudy = Callable[..., ReadWorker]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.parquet"
    frame = pd.DataFrame({"patient": [11, 12, 13], "age_years": [50.0, 60.0, 70.0], "readmitted": [0, 1, 1]})
    frame.to_parquet(path)
    return path


@pytest.fixture
def sandbox() -> Sandbox:
    """The strongest of this machine; a test module that needs another one replaces it."""
    return default_sandbox(private=False)


@pytest.fixture
def start(tmp_path: Path, table: Path, sandbox: Sandbox) -> Iterator[StartStudy]:
    """Starts a worker on the given text of study.py; limits as keywords."""
    workers: list[ReadWorker] = []

    def start_study(text: str, **limits: float) -> ReadWorker:
        code = tmp_path / f"code{len(workers)}"
        code.mkdir(exist_ok=True)
        (code / "study.py").write_text("import numpy as np\n" + textwrap.dedent(text))
        (code / "sibling.py").write_text("ANSWER = 42.0\n")
        chosen = Limits(**({"seconds_per_round": 120} | limits))
        worker = Worker.start(code, table, tmp_path / "scratch", tmp_path / "log", chosen, sandbox)
        workers.append(ReadWorker(worker))
        return workers[-1]

    yield start_study
    for worker in workers:
        worker.stop()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"
