"""The ready studies of other frameworks: what they learn, what leaves, and what would not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import researcher as wr
from datasites.release.examine import examine
from datasites.release.terms import Cohort, Rules, Terms
from datasites.runner.replies import decode_result, encode_result
from datasites.wire.dictionary import Dictionary
from notebooks.readmission import synthetic
from policies.examples import example
from researcher.rehearsal import contract_of
from researcher.strategies import Bagging, FedAvg, Strategy, Update
from tests.support.federation import same_bits
from tests.support.studies import modules_of

FOLDER = Path(__file__).parents[4] / "notebooks" / "readmission" / "frameworks"
CONFIG: dict[str, Any] = {"seed": 1, "split_seed": 1, "round": 1, "places": 24}
STUDIES: dict[str, Strategy] = {"numpy_alone": FedAvg(), "linear": FedAvg(), "trees": Bagging()}


@pytest.fixture(params=STUDIES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def modules(name: str) -> Iterator[SimpleNamespace]:
    with modules_of(FOLDER / name) as found:
        yield found


def _thirds(table: pd.DataFrame) -> list[pd.DataFrame]:
    """Hospitals that differ: patients by age."""
    by_age = table.sort_values("age_years", kind="stable")
    return [by_age.iloc[part] for part in np.array_split(np.arange(len(table)), 3)]


def _trained(study: Any, strategy: Strategy, tables: list[pd.DataFrame], rounds: int) -> Any:
    state = study.initialize({**CONFIG, "round": 0})
    for number in range(1, rounds + 1):
        aggregation = strategy.begin(state, {})
        for index, table in enumerate(tables):
            trained, examples, _ = study.fit(state, table, {**CONFIG, "round": number})
            aggregation.add(Update(f"h{index}", trained, examples))
        state = aggregation.result()[0]
    return state


def test_what_is_shared_is_a_link_to_it() -> None:
    for folder in FOLDER.iterdir():
        for module in ("features", "splits"):
            assert (folder / f"{module}.py").resolve() == FOLDER.parent / "study" / f"{module}.py"


@pytest.mark.parametrize("folder", sorted(path.name for path in FOLDER.iterdir() if path.name in STUDIES))
def test_the_standard_policy_has_nothing_against_the_code(folder: str) -> None:
    files = {path.name: path.read_text() for path in (FOLDER / folder).glob("*.py")}
    assert example("standard").check_code(files) == []


def test_together_they_learn_what_one_hospital_with_all_patients_would(
    name: str, modules: SimpleNamespace, study_table: pd.DataFrame
) -> None:
    rows = modules.splits.rows_of("train", study_table, 1)
    pooled = LogisticRegression().fit(modules.features.inputs(rows), modules.features.labels(rows))
    test = modules.splits.rows_of("test", study_table, 1)
    best = modules.scores.auc(pooled.predict_proba(modules.features.inputs(test))[:, 1], modules.features.labels(test))
    state = _trained(modules.study, STUDIES[name], _thirds(study_table), 8)
    found = modules.study.evaluate(state, study_table, CONFIG)[1]["auc"]
    assert found > best - 0.03
    assert found > 0.6


def test_the_same_round_gives_the_same_and_changes_nothing_given(
    name: str, modules: SimpleNamespace, study_table: pd.DataFrame
) -> None:
    state = modules.study.fit(modules.study.initialize(CONFIG), study_table, CONFIG)[0]
    sent = {name: array.copy() for name, array in state.items()}
    one, other = (modules.study.fit(state, study_table, {**CONFIG, "round": 2})[0] for _ in range(2))
    assert same_bits(one, other)
    assert not same_bits(one, state)
    assert same_bits(state, sent)


def test_the_gate_lets_it_out_by_the_standard_policy(
    name: str, modules: SimpleNamespace, study_table: pd.DataFrame
) -> None:
    """Or with a bound on updates, as the docs say: a step has a length, a tree has none."""
    study = modules.study
    start = study.initialize(CONFIG)
    results = {"fit": study.fit(start, study_table, CONFIG), "evaluate": study.evaluate(start, study_table, CONFIG)}
    outcomes = {task: _outcome(task, result) for task, result in results.items()}
    contract = contract_of(start, outcomes["fit"], outcomes["evaluate"])
    policy, cohort = example("standard"), Cohort(rows=len(study_table), patients=study_table["patient"].nunique())
    for release, held in (
        (policy.release, False),
        (policy.release.model_copy(update={"max_update_norm": 100.0}), name == "trees"),
    ):
        rules = Rules(
            release=release,
            bytes_per_round=policy.running.bytes_per_round,
            kept_bytes=0,
            min_patients=policy.data.min_patients,
            cohort=cohort,
            rounding_key="0" * 64,
        )
        terms = Terms(contract=contract, rules=rules)
        verdicts = {
            task: examine(task, encode_result(task, result), start, 0, terms) for task, result in results.items()
        }
        assert verdicts["evaluate"].released
        assert (verdicts["fit"].released is None) == held
        assert any("feature" in why for why in verdicts["fit"].details) == held


def test_a_hospital_runs_it_in_its_sandbox(name: str, dictionary: Dictionary) -> None:
    """And what it cannot import there would fail here."""
    tables = synthetic.generate(["north", "south"], 400, seed=3)
    study = wr.Study(name.replace("_", "-"), "Test", FOLDER / name, "readmission", 2, {**CONFIG})
    result = wr.simulate(study, tables, dictionary, STUDIES[name], processes=1)
    assert (result.hospitals["problem"] == "").all()
    assert result.rounds["federated_auc"].notna().all()


def test_the_numpy_study_needs_no_framework() -> None:
    code = "import study, sys; print(*({'torch', 'sklearn', 'scipy'} & sys.modules.keys()))"
    folder = FOLDER / "numpy_alone"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def _outcome(task: Any, result: Any) -> Any:
    return decode_result(task, encode_result(task, result))
