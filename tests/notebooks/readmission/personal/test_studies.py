"""The ready studies for personal models, and SCAFFOLD's: what leaves, what stays, and what is tested."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from policies.examples import example
from researcher.strategies import Scaffold, Update
from tests.support.studies import modules_of

FOLDER = Path(__file__).parents[4] / "notebooks" / "readmission"
CONFIG = {"seed": 1, "split_seed": 1, "round": 1, "max_batches": 12}
HEAD = {"12.weight", "12.bias"}


def _open(name: str) -> Iterator[SimpleNamespace]:
    with modules_of(FOLDER / name) as modules:
        yield modules


@pytest.fixture
def fine_tuning() -> Iterator[SimpleNamespace]:
    yield from _open("personal/fine_tuning")


@pytest.fixture
def private_head() -> Iterator[SimpleNamespace]:
    yield from _open("personal/private_head")


@pytest.fixture
def per_fedavg() -> Iterator[SimpleNamespace]:
    yield from _open("personal/per_fedavg")


@pytest.fixture
def scaffold() -> Iterator[SimpleNamespace]:
    yield from _open("scaffold")


@pytest.fixture
def linear() -> Iterator[SimpleNamespace]:
    yield from _open("personal/linear")


def _same(one, other) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def test_each_folder_is_whole_and_says_nothing_twice() -> None:
    """What is shared with the plain study is a link to it, and travels as the bytes it stands for."""
    for name in ("scaffold", "personal/fine_tuning", "personal/per_fedavg", "personal/private_head"):
        for module in ("features", "network", "scores", "splits"):
            assert (FOLDER / name / f"{module}.py").resolve() == FOLDER / "study" / f"{module}.py"
        assert (FOLDER / name / "plain.py").resolve() == FOLDER / "study" / "study.py"


@pytest.mark.parametrize(
    "name",
    ["scaffold", "personal/fine_tuning", "personal/linear", "personal/per_fedavg", "personal/private_head"],
)
def test_the_standard_policy_has_nothing_against_the_code(name: str) -> None:
    files = {path.name: path.read_text() for path in (FOLDER / name).glob("*.py")}
    assert example("standard").check_code(files) == []


class TestFineTuning:
    def test_the_test_is_that_of_a_tuned_copy(self, fine_tuning, study_table: pd.DataFrame) -> None:
        study, plain = fine_tuning.study, fine_tuning.plain
        start = study.initialize(CONFIG)
        trained, _, _ = study.fit(start, study_table, CONFIG)
        assert _same(trained, plain.fit(start, study_table, CONFIG)[0])
        tuned = plain.fit(trained, study_table, {**CONFIG, "local_epochs": 2, "max_batches": None})[0]
        expected = plain.evaluate(tuned, study_table, CONFIG)[1]
        found = study.evaluate(trained, study_table, {**CONFIG, "tuning_epochs": 2, "max_batches": None})[1]
        assert (found["loss"], found["auc"]) == (expected["loss"], expected["auc"])

    def test_without_epochs_it_is_the_global_models(self, fine_tuning, study_table: pd.DataFrame) -> None:
        start = fine_tuning.study.initialize(CONFIG)
        found = fine_tuning.study.evaluate(start, study_table, {**CONFIG, "tuning_epochs": 0})[1]
        assert found["loss"] == fine_tuning.plain.evaluate(start, study_table, CONFIG)[1]["loss"]


class TestPrivateHead:
    def test_the_body_leaves_and_the_head_stays(self, private_head, study_table: pd.DataFrame) -> None:
        study, network = private_head.study, private_head.network
        start = study.initialize(CONFIG)
        assert network.to_arrays(network.build()).keys() - start.keys() == HEAD
        body, _, _, head = study.fit(start, study_table, CONFIG, {})
        assert (body.keys(), head.keys()) == (start.keys(), HEAD)

    def test_the_head_is_gone_on_with_and_tested(self, private_head, study_table: pd.DataFrame) -> None:
        study = private_head.study
        start = study.initialize(CONFIG)
        body, _, _, head = study.fit(start, study_table, CONFIG, {})
        second = study.fit(body, study_table, {**CONFIG, "round": 2}, head)
        assert not _same(second[3], study.fit(body, study_table, {**CONFIG, "round": 2}, {})[3])
        with_head, without = (study.evaluate(body, study_table, CONFIG, kept)[1]["loss"] for kept in (head, {}))
        assert with_head < without
        whole = private_head.plain.evaluate(body | head, study_table, CONFIG)[1]["loss"]
        assert with_head == whole

    def test_fedrep_trains_the_head_and_then_the_body(self, private_head, study_table: pd.DataFrame) -> None:
        study = private_head.study
        start = study.initialize(CONFIG)
        body, _, _, head = study.fit(start, study_table, {**CONFIG, "head_epochs": 1}, {})
        assert not _same(head, study._head({}, CONFIG))
        assert not np.array_equal(body["0.weight"], start["0.weight"])


class TestPerFedAvg:
    @pytest.mark.parametrize("hessian_free", [False, True])
    def test_training_makes_the_adapted_model_better(
        self, per_fedavg, study_table: pd.DataFrame, hessian_free: bool
    ) -> None:
        study, config = per_fedavg.study, {**CONFIG, "max_batches": None, "hessian_free": hessian_free}
        start = study.initialize(config)
        trained, examples, metrics = study.fit(start, study_table, config)
        assert examples > 0
        assert np.isfinite(metrics["loss"])
        before, after = (study.evaluate(state, study_table, config)[1]["loss"] for state in (start, trained))
        assert after < before
        assert all(np.isfinite(array).all() for array in trained.values())
        assert _same(trained, study.fit(start, study_table, config)[0])

    def test_without_steps_the_test_is_the_global_models(self, per_fedavg, study_table: pd.DataFrame) -> None:
        start = per_fedavg.study.initialize(CONFIG)
        found = per_fedavg.study.evaluate(start, study_table, {**CONFIG, "adapt_steps": 0})[1]
        assert found["loss"] == per_fedavg.plain.evaluate(start, study_table, CONFIG)[1]["loss"]

    def test_a_gradient_drops_the_same_units_each_time(self, per_fedavg, study_table: pd.DataFrame) -> None:
        """Or a difference of two of them would be one of chance, divided by a small number."""
        study = per_fedavg.study
        x, y = per_fedavg.plain.tensors(study_table[:64])
        model = per_fedavg.network.build().train()
        gradient, weights = study._gradient(model, (x, y), 3, []), study._weights(model)
        one, other = gradient(weights), gradient(weights)
        assert all(torch.equal(one[name], other[name]) for name in one)


class TestLinear:
    def test_without_looking_ahead_it_trains_as_the_study_in_plain_numpy(
        self, linear, study_table: pd.DataFrame
    ) -> None:
        state, others = linear.study.initialize(CONFIG), linear.study.initialize(CONFIG)
        for number in (1, 2):
            config = {**CONFIG, "round": number}
            state, examples, metrics = linear.study.fit(state, study_table, config)
            with modules_of(FOLDER / "frameworks" / "numpy_alone") as plain:
                others, as_many, same = plain.study.fit(others, study_table, config)
        assert (examples, metrics["loss"]) == (as_many, pytest.approx(same["loss"]))
        np.testing.assert_allclose(state["weight"], others["weight"], atol=1e-12)
        np.testing.assert_allclose(state["intercept"], others["intercept"], atol=1e-12)

    def test_looking_ahead_goes_by_the_gradient_where_the_hospitals_own_step_leads(
        self, linear, study_table: pd.DataFrame
    ) -> None:
        """One step from 0, by the formula, on the very batches."""
        config = {**CONFIG, "local_steps": 1, "adapt_rate": 0.5, "learning_rate": 0.3}
        trained, _, _ = linear.study.fit(linear.study.initialize(config), study_table, config)
        rows = linear.splits.rows_of("train", study_table, 1)
        x = np.column_stack([linear.features.inputs(rows).astype(float), np.ones(len(rows))])
        y, draw = linear.features.labels(rows), np.random.default_rng([1, 1])
        first, second = draw.integers(len(y), size=256), draw.integers(len(y), size=256)
        ahead = -0.5 * x[first].T @ (0.5 - y[first]) / 256
        gradient = x[second].T @ (1 / (1 + np.exp(-x[second] @ ahead)) - y[second]) / 256
        gradient += 1e-4 * np.append(ahead[:-1], 0)
        np.testing.assert_allclose(np.append(trained["weight"], trained["intercept"]), -0.3 * gradient, atol=1e-12)

    def test_the_test_is_that_of_a_tuned_copy(self, linear, study_table: pd.DataFrame) -> None:
        study, steps = linear.study, {**CONFIG, "local_steps": 40}
        start = study.initialize(CONFIG)
        tuned = study.fit(start, study_table, steps)[0]
        expected = study.evaluate(tuned, study_table, CONFIG)[1]["loss"]
        assert study.evaluate(start, study_table, {**CONFIG, "tuning_steps": 40})[1]["loss"] == expected
        assert expected < study.evaluate(start, study_table, CONFIG)[1]["loss"]


class TestScaffold:
    def test_two_rounds_of_one_hospital_are_plain_sgd(self, scaffold, study_table: pd.DataFrame) -> None:
        """Alone, a hospital's control variate is the server's: nothing is left to correct."""
        study, strategy = scaffold.study, Scaffold(hospitals=1)
        state, kept = study.initialize(CONFIG), {}
        for number in (1, 2):
            aggregation = strategy.begin(state, {})
            came, examples, _, kept = study.fit(state, study_table, {**CONFIG, "round": number}, kept)
            aggregation.add(Update("north", came, examples))
            state = aggregation.result()[0]
            assert kept.keys() == dict(scaffold.network.build().named_parameters()).keys()
            for name, array in kept.items():
                np.testing.assert_allclose(array, state[f"control/{name}"], atol=1e-5)
        assert study.evaluate(state, study_table, CONFIG)[1]["loss"] > 0
