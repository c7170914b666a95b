from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from datasites.wire.training import Evaluation
from policies.privacy.events import Gaussian, SampledGaussian
from tests.support.private import PREPARATION, training


def test_what_a_message_releases_is_named_as_events() -> None:
    asked = training(steps=7, sampling_rate=0.25, noise_multiplier=1.5)
    step = SampledGaussian(1.5, 0.25, 7, "patient")
    assert asked.events(fit=True, evaluate=False) == (step,)
    assert asked.events(fit=True, evaluate=True) == (step, Gaussian(4.0, 1, "patient"))
    assert training(evaluation=None).events(fit=False, evaluate=True) == ()


def test_the_plan_holds_all_rounds_and_all_evaluations() -> None:
    evaluation = Evaluation(edges=(0.5,), noise_multiplier=9.0, times=3)
    asked = training(steps=7, noise_multiplier=1.5, evaluation=evaluation)
    assert set(asked.plan(10)) == {SampledGaussian(1.5, 0.5, 70), Gaussian(9.0, 3)}


@pytest.mark.parametrize(
    "change",
    [
        {"noise_multiplier": 0.0},
        {"noise_multiplier": 0.01},
        {"sampling_rate": 1.5},
        {"clip": float("inf")},
        {"expected_lot": 0.0},
        {"steps": 0},
        {"loss": "mean_squared_error"},
        {"loss": "cross_entropy"},
        {"preparation": PREPARATION.model_copy(update={"inputs": PREPARATION.inputs[:2]})},
    ],
)
def test_what_has_no_meaning_or_no_privacy_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        training(**change)


@pytest.mark.parametrize("edges", [(), (0.5, 0.5), (0.4, 0.2), (0.0, 0.5), (0.5, 1.0)])
def test_bins_have_a_width(edges: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError):
        Evaluation(edges=edges, noise_multiplier=1.0)
