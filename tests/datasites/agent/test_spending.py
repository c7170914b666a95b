from __future__ import annotations

from pathlib import Path

import pytest

from datasites.agent.admission import RoundRefused
from datasites.agent.spending import Spending
from datasites.approval.policy import PolicyBook
from datasites.home import DatasiteHome
from datasites.state import State
from datasites.wire.manifest import Manifest
from datasites.wire.outputs import private_outputs
from datasites.wire.preparation import NumberInput
from datasites.wire.reasons import Reason
from datasites.wire.rounds import RoundRequest
from datasites.wire.statistics import Statistics
from policies.privacy.events import Gaussian, SampledGaussian
from tests.support.private import training


@pytest.fixture
def home(tmp_path: Path) -> DatasiteHome:
    place = DatasiteHome(tmp_path)
    place.create()
    return place


def manifest(**changes: object) -> Manifest:
    asked = training(noise_multiplier=8.0, evaluation=None).model_copy(update=changes)
    return Manifest(
        name="one",
        purpose="Test",
        researcher="ada@uni.org",
        dataset="stays",
        dictionary="a" * 64,
        columns=asked.preparation.columns,
        files={},
        config={},
        rounds=2,
        seconds_per_round=60,
        outputs=private_outputs(asked),
        tier="private",
        training=asked,
    )


def ask(study: Manifest, number: int, evaluate: bool = False) -> RoundRequest:
    return RoundRequest(study=study.digest, number=number, hospital="do@h.org", fit=True, evaluate=evaluate)


def reserve(home: DatasiteHome, state: State, study: Manifest, number: int) -> None:
    Spending(home, state.ledger, study).reserve(ask(study, number), f"{number:064x}")


def test_a_round_is_charged_before_it_runs_and_the_same_round_once(home: DatasiteHome) -> None:
    state, study = State(home.state), manifest()
    for _ in range(2):
        reserve(home, state, study, 1)
    assert state.ledger.spent("stays", study=study.digest) == (SampledGaussian(8.0, 0.5, 4),)


def test_more_rounds_than_the_plan_are_refused_and_cost_nothing(home: DatasiteHome) -> None:
    state, study = State(home.state), manifest()
    reserve(home, state, study, 1)
    reserve(home, state, study, 2)
    with pytest.raises(RoundRefused) as refused:
        reserve(home, state, study, 3)
    assert refused.value.reason is Reason.BUDGET
    assert state.ledger.spent("stays", study=study.digest) == (SampledGaussian(8.0, 0.5, 8),)


def test_counts_are_answered_once_and_to_a_message_that_asks_for_nothing_else(home: DatasiteHome) -> None:
    state = State(home.state)
    asked = Statistics(inputs=(NumberInput(column="x", low=-1.0, high=1.0),), noise_multiplier=8.0)
    changes = {"training": None, "statistics": asked, "columns": ("x",), "outputs": private_outputs(asked)}
    study = Manifest.model_validate(manifest().model_dump() | changes)
    purse = Spending(home, state.ledger, study)
    for request in (ask(study, 1), ask(study, 1, evaluate=True)):  # both train
        with pytest.raises(RoundRefused) as refused:
            purse.reserve(request, "0" * 64)
        assert refused.value.reason is Reason.HOSPITAL
    assert state.ledger.spent("stays") == ()
    first, second = (ask(study, n).model_copy(update={"fit": False, "evaluate": True}) for n in (2, 3))
    purse.reserve(first, "2" * 64)
    with pytest.raises(RoundRefused) as refused:
        purse.reserve(second, "3" * 64)
    assert refused.value.reason is Reason.BUDGET
    assert state.ledger.spent("stays") == (Gaussian(8.0),)


def test_a_damaged_policy_lets_nothing_run(home: DatasiteHome) -> None:
    book = PolicyBook(home)
    book.folder.mkdir(exist_ok=True)
    (book.folder / "stays.toml").write_text("title = 3")
    with pytest.raises(RoundRefused) as refused:
        reserve(home, State(home.state), manifest(), 1)
    assert refused.value.reason is Reason.HOSPITAL
