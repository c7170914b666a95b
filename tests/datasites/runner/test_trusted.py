"""The hospital's own training in a real worker, confined like a study's code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datasites.runner.command import TRAINING_FILE
from datasites.runner.errors import Code, WorkerFailed
from datasites.runner.limits import Limits
from datasites.runner.process import Worker
from datasites.runner.replies import decode_result
from datasites.runner.sandbox.base import Sandbox
from datasites.wire.training import Training
from datasites.wire.work import Work
from policies.errors import InvalidInput
from tests.support.private import state, training


@pytest.fixture
def worker(tmp_path: Path, sandbox: Sandbox) -> Iterator[Worker]:
    with start(tmp_path, sandbox, training()) as one:
        yield one


def start(root: Path, sandbox: Sandbox, asked: Training) -> Worker:
    rng = np.random.default_rng(0)
    columns = {f"x{number}": rng.normal(size=40) for number in range(3)}
    view = pd.DataFrame({**columns, "y": rng.integers(0, 2, 40), "patient": np.arange(40)})
    view.to_parquet(root / "view.parquet")
    (root / "training").mkdir()
    (root / "training" / TRAINING_FILE).write_text(Work(asked=asked).model_dump_json())
    limits = Limits(seconds_per_round=60)
    return Worker.start(root / "training", root / "view.parquet", root / "scratch", root / "log", limits, sandbox)


def test_it_trains_and_evaluates_with_new_noise_in_every_call(worker: Worker) -> None:
    assert worker.functions == {"fit", "evaluate"}
    fits = [decode_result("fit", worker.call("fit", state(), {})) for _ in range(2)]
    assert not np.array_equal(fits[0].parameters["weight"], fits[1].parameters["weight"])
    tests = [decode_result("evaluate", worker.call("evaluate", state(), {})) for _ in range(2)]
    assert not np.array_equal(tests[0].arrays["score_histogram"], tests[1].arrays["score_histogram"])
    assert (fits[0].metrics, tests[0].metrics) == ({}, {})


def test_a_state_that_does_not_fit_the_model_fails_without_a_word_of_the_table(worker: Worker) -> None:
    with pytest.raises(WorkerFailed) as failed:
        worker.call("fit", {"weight": np.zeros((7, 7), np.float32)}, {})
    assert failed.value.code is Code.CODE_ERROR
    assert "size mismatch" not in str(failed.value)
    assert decode_result("fit", worker.call("fit", state(), {})).num_examples == 50


def test_without_an_evaluation_there_is_none_to_ask_for(tmp_path: Path, sandbox: Sandbox) -> None:
    with start(tmp_path, sandbox, training(evaluation=None)) as worker, pytest.raises(InvalidInput):
        worker.call("evaluate", state(), {})
