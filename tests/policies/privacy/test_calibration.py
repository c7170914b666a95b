from __future__ import annotations

from pathlib import Path

import pytest

from policies.errors import InvalidInput
from policies.privacy import Gaussian, Plan, calibration
from policies.privacy.accounting import epsilon
from policies.privacy.cache import NumberCache
from policies.privacy.calibration import noise_for, with_noise
from policies.privacy.presets import PRESETS, certainty, delta_for
from policies.privacy.what_if import what_if

PLAN = Plan.training(5, 20, 0.02, 1.0)


@pytest.mark.parametrize("target", [0.3, 1.0])
def test_the_least_noise_that_keeps_the_target(target: float) -> None:
    noise = noise_for(target, 1e-5, PLAN)
    assert epsilon(with_noise(PLAN, noise).events, 1e-5) <= target
    assert epsilon(with_noise(PLAN, 0.98 * noise).events, 1e-5) > target


def test_what_else_is_released_is_counted_and_keeps_its_noise() -> None:
    plan = Plan(5, (*PLAN.per_round, Gaussian(30.0)))
    noise = noise_for(1.0, 1e-5, plan)
    assert with_noise(plan, noise).per_round[1] == Gaussian(30.0)
    assert epsilon(with_noise(plan, noise).events, 1e-5) <= 1.0
    with pytest.raises(InvalidInput, match="No noise keeps"):
        noise_for(1.0, 1e-5, Plan(5, (*PLAN.per_round, Gaussian(0.5))))
    for target, delta in ((0.0, 1e-5), (1.0, 0.0), (float("nan"), 1e-5)):
        with pytest.raises(InvalidInput):
            noise_for(target, delta, PLAN)


def test_the_cache_saves_the_search_and_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = NumberCache(tmp_path / "new" / "noise.json")
    noise = noise_for(0.5, 1e-5, PLAN, cache)
    with monkeypatch.context() as patched:
        patched.setattr(calibration, "_search", None)
        assert noise_for(0.5, 1e-5, PLAN, NumberCache(tmp_path / "new" / "noise.json")) == noise
    text = (tmp_path / "new" / "noise.json").read_text()
    for damaged in (text.replace(str(noise), "1.0"), text.replace(str(noise), '"x"') + "]"):
        (tmp_path / "new" / "noise.json").write_text(damaged)
        assert noise_for(0.5, 1e-5, PLAN, cache) == noise


def test_what_if_answers_both_ways() -> None:
    asked = what_if(5, 20, 0.02, 1e-5, noise_multiplier=4.0, spent=(Gaussian(10.0),))
    assert asked.epsilon < asked.charged
    assert asked.together is not None
    assert asked.together > asked.epsilon
    assert "5 rounds of 20 steps" in str(asked)
    assert what_if(5, 20, 0.02, 1e-5, epsilon=asked.epsilon).noise_multiplier == pytest.approx(4.0, rel=0.01)
    for wrong in ({}, {"noise_multiplier": 1.0, "epsilon": 1.0}, {"noise_multiplier": 0.0}):
        with pytest.raises(InvalidInput):
            what_if(5, 20, 0.02, 1e-5, **wrong)


def test_presets_in_plain_words() -> None:
    assert [preset.epsilon for preset in PRESETS] == [0.1, 1.0, 3.0, 10.0]
    shown = [next(word for word in preset.meaning.split() if word.endswith("%")) for preset in PRESETS]
    assert shown == ["52.5%", "73.1%", "95.3%", "99.995%"]
    assert certainty(0) == 0.5


@pytest.mark.parametrize(("patients", "delta"), [(1, 0.1), (9, 0.1), (10, 0.01), (23_000, 1e-5), (100_000, 1e-6)])
def test_delta_is_below_one_patient(patients: int, delta: float) -> None:
    assert delta_for(patients) == delta
    assert delta * patients < 1
    with pytest.raises(InvalidInput):
        delta_for(0)
