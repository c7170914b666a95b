from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

CONFIG = {"seed": 1, "split_seed": 1, "local_epochs": 1, "round": 1}
FOLDER = Path(__file__).parents[4] / "notebooks" / "readmission" / "study"


def _same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def test_an_owner_finds_only_three_libraries() -> None:
    own = {path.stem for path in FOLDER.glob("*.py")}
    imported: set[str] = set()
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(str(node.module).split(".")[0])
    assert imported - own - set(sys.stdlib_module_names) == {"numpy", "pandas", "torch"}


class TestInitialize:
    def test_is_the_network_of_the_article(self, code: SimpleNamespace) -> None:
        parameters = code.study.initialize({**CONFIG, "round": 0})
        shapes = [array.shape for array in parameters.values() if array.ndim == 2]
        assert shapes == [(128, 42), (64, 128), (32, 64), (1, 32)]
        assert {array.dtype for array in parameters.values()} == {np.dtype(np.float32), np.dtype(np.int64)}

    def test_depends_on_the_seed(self, code: SimpleNamespace) -> None:
        first = code.study.initialize(CONFIG)
        assert _same(first, code.study.initialize(CONFIG))
        assert not _same(first, code.study.initialize({**CONFIG, "seed": 2}))


class TestFit:
    def test_learns(self, code: SimpleNamespace, study_table: pd.DataFrame) -> None:
        start = code.study.initialize(CONFIG)
        trained, examples, metrics = code.study.fit(start, study_table, {**CONFIG, "local_epochs": 3})
        assert examples == len(code.splits.rows_of("train", study_table, 1))
        assert metrics["loss"] < 0.6
        before, after = (code.study.evaluate(p, study_table, CONFIG)[1]["loss"] for p in (start, trained))
        assert after < before - 0.1

    def test_repeats_exactly_and_leaves_its_input_alone(self, code: SimpleNamespace, study_table: pd.DataFrame) -> None:
        start = code.study.initialize(CONFIG)
        copy = {name: array.copy() for name, array in start.items()}
        first = code.study.fit(start, study_table, CONFIG)
        torch.rand(3)  # whatever happened in between
        second = code.study.fit(start, study_table, CONFIG)
        assert _same(first[0], second[0])
        assert first[1:] == second[1:]
        assert _same(start, copy)

    def test_another_round_sees_other_batches(self, code: SimpleNamespace, study_table: pd.DataFrame) -> None:
        start = code.study.initialize(CONFIG)
        first, second = (
            code.study.fit(start, study_table, {**CONFIG, "max_batches": 1, "round": number})[0] for number in (1, 2)
        )
        assert not _same(first, second)

    @pytest.mark.parametrize(("limit", "batches"), [(1, 1), (5, 5), (None, 33)])
    def test_stops_after_the_greatest_number_of_batches(
        self, code: SimpleNamespace, study_table: pd.DataFrame, limit: int | None, batches: int
    ) -> None:
        config = {**CONFIG, "max_batches": limit}
        rows = code.splits.rows_of("train", study_table, 1)
        table = rows.iloc[: 32 * 64 + 2]
        trained, *_ = code.study.fit(code.study.initialize(CONFIG), table, config)
        assert trained["1.num_batches_tracked"] == batches

    def test_drops_a_lone_last_row(self, code: SimpleNamespace, study_table: pd.DataFrame) -> None:
        table = code.splits.rows_of("train", study_table, 1).iloc[:65]
        trained, *_ = code.study.fit(code.study.initialize(CONFIG), table, CONFIG)
        assert trained["1.num_batches_tracked"] == 1

    def test_says_that_one_row_is_too_few(self, code: SimpleNamespace, study_table: pd.DataFrame) -> None:
        table = code.splits.rows_of("train", study_table, 1).iloc[:1]
        with pytest.raises(ValueError, match="two training rows"):
            code.study.fit(code.study.initialize(CONFIG), table, CONFIG)


class TestEvaluate:
    def test_counts_the_test_patients(self, code: SimpleNamespace, study_table: pd.DataFrame) -> None:
        examples, metrics = code.study.evaluate(code.study.initialize(CONFIG), study_table, CONFIG)
        test = code.splits.rows_of("test", study_table, 1)
        positives = int(test["readmitted_30d"].sum())
        assert examples == len(test)
        assert metrics["score_histogram"].sum(axis=1).tolist() == [examples - positives, positives]
        assert all(np.isfinite(metrics[name]) for name in ("loss", "auc", "accuracy"))

    def test_on_the_validation_patients_where_asked(self, code: SimpleNamespace, study_table: pd.DataFrame) -> None:
        config = {**CONFIG, "evaluate_on": "validation"}
        examples, _ = code.study.evaluate(code.study.initialize(CONFIG), study_table, config)
        assert examples == len(code.splits.rows_of("validation", study_table, 1))

    def test_leaves_the_auc_out_where_there_is_none(self, code: SimpleNamespace, study_table: pd.DataFrame) -> None:
        nobody = study_table.assign(readmitted_30d=0)
        assert "auc" not in code.study.evaluate(code.study.initialize(CONFIG), nobody, CONFIG)[1]

    def test_does_not_change_the_model(self, code: SimpleNamespace, study_table: pd.DataFrame) -> None:
        start = code.study.initialize(CONFIG)
        copy = {name: array.copy() for name, array in start.items()}
        code.study.evaluate(start, study_table, CONFIG)
        assert _same(start, copy)
