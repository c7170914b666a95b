from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import nn

import researcher as wr
from datasites.wire.dictionary import Dictionary
from datasites.wire.manifest import Manifest
from policies.privacy.accounting import epsilon
from tests.support.federation import DICTIONARY

STAYS = Dictionary.load(DICTIONARY)


def study(home: Path, **changes: Any) -> wr.PrivateStudy:
    fields: dict[str, Any] = {
        "name": "private",
        "purpose": "Test",
        "dataset": "stays",
        "model": nn.Sequential(nn.Linear(1, 4), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 1)),
        "inputs": ["days"],
        "target": "readmitted",
        "rounds": 4,
        "steps": 10,
        "sampling_rate": 0.1,
        "expected_lot": 100,
        "optimizer": wr.Optimizer(learning_rate=0.1),
        "noise_multiplier": 2.0,
        "evaluation_noise": 5.0,
        "home": home,
    }
    return wr.PrivateStudy(**{**fields, **changes})


def test_a_target_epsilon_is_what_the_whole_study_costs_evaluations_included(tmp_path: Path) -> None:
    asked = study(tmp_path, epsilon=3, noise_multiplier=None, evaluation_noise=None, delta=1e-5)
    training = asked.training(STAYS)
    spent = epsilon(training.plan(asked.rounds), 1e-5)
    assert 2.95 < spent <= 3
    assert asked.cost().epsilon == pytest.approx(spent)
    assert f"epsilon {spent:.3g} at delta 1e-05" in str(asked.cost())
    assert "at most 95" in str(asked.cost())


def test_the_manifest_holds_a_request_and_no_code(tmp_path: Path) -> None:
    asked = study(tmp_path)
    manifest = asked.manifest("ada@uni.org", STAYS, asked.contract(STAYS))
    assert (manifest.tier, manifest.files, manifest.config) == ("private", {}, {})
    assert manifest.columns == ("days", "readmitted")
    assert Manifest.model_validate_json(manifest.canonical()).digest == manifest.digest
    assert asked.initial.keys() == manifest.outputs.parameters.keys()
    assert manifest.training
    assert manifest.training.evaluation
    assert manifest.training.evaluation.edges[15] == pytest.approx(0.3)  # around the dictionary's public prior


def test_the_digest_changes_with_all_that_scales_the_noise(tmp_path: Path) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"noise_multiplier": 2.1},
        {"clip": 4.1},
        {"sampling_rate": 0.11},
        {"expected_lot": 101},
        {"steps": 11},
        {"encounters": 4},
        {"evaluation_noise": 5.1},
        {"evaluations": 2},
    ]
    asked = [study(tmp_path, **change) for change in changes]
    assert len({one.manifest("ada@uni.org", STAYS, one.contract(STAYS)).digest for one in asked}) == len(changes)


def test_a_manifest_cannot_promise_another_output_or_bring_code(tmp_path: Path) -> None:
    asked = study(tmp_path)
    manifest = asked.manifest("ada@uni.org", STAYS, asked.contract(STAYS)).model_dump()
    metrics = {**manifest["outputs"], "fit_metrics": ["loss"]}
    files = {"study.py": {"sha256": "a" * 64, "size": 1}}
    for change in ({"outputs": metrics}, {"files": files}, {"tier": "reviewed"}, {"columns": ["days", "site"]}):
        with pytest.raises(ValueError, match=r"private|outputs|columns"):
            Manifest.model_validate({**manifest, **change})


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"model": nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))}, "GroupNorm|LayerNorm"),
        ({"model": nn.Linear(2, 1)}, "cannot be"),
        ({"model": nn.Linear(1, 2)}, "one number"),
        ({"inputs": ["height"]}, "no column height"),
        ({"target": "nothing"}, "no column nothing"),
        ({"sampling_rate": 2.0}, "sampling_rate"),
        ({"noise_multiplier": 0.001}, "noise_multiplier"),
    ],
)
def test_what_a_hospital_could_not_do_is_told_before_anything_is_sent(
    tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    with pytest.raises(wr.InvalidInput, match=problem):
        study(tmp_path, **change).training(STAYS)


def test_noise_is_given_once(tmp_path: Path) -> None:
    for change in ({"epsilon": 1.0}, {"noise_multiplier": None}, {"evaluation_noise": None}):
        with pytest.raises(wr.InvalidInput):
            study(tmp_path, **change)


def test_numbers_can_be_scaled_by_hand_and_predicted(tmp_path: Path) -> None:
    asked = study(tmp_path, inputs={"site": (4, 2)}, target="days", evaluations=0).training(STAYS)
    assert asked.preparation.inputs[0].center == 4  # type: ignore[union-attr]
    assert (asked.preparation.target.kind, asked.loss) == ("number", "mean_squared_error")
    assert asked.evaluation is None
