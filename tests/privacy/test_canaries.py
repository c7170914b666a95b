"""One-run audits of the hospital's training, as it is and broken on purpose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datasites.training.private.study import TrustedStudy
from policies.privacy.accounting import epsilon
from policies.privacy.events import SampledGaussian
from tests.privacy import replay
from tests.privacy.canaries import DELTA, GUESSES, ROUNDS, STEPS, audit, table_of, training
from tests.privacy.gate import behind_gate
from tests.privacy.variants import EVERYBODY, TRAINING, Variant


@pytest.mark.parametrize("noise", [8.0, 2.7, 1.0])
def test_the_canaries_are_hidden_as_well_as_the_ledger_says(noise: float) -> None:
    found = audit(training(noise))
    assert found.claimed == epsilon([SampledGaussian(noise, 0.5, STEPS * ROUNDS)], DELTA)
    assert not found.caught


def test_the_less_noise_the_more_canaries_are_told() -> None:
    """So the attack sees what there is to see."""
    found = [audit(training(noise)) for noise in (8.0, 2.7, 1.0)]
    assert found[0].correct < found[1].correct < found[2].correct
    assert found[2].empirical > 2


@pytest.mark.parametrize("variant", TRAINING, ids=lambda variant: variant.name)
def test_what_is_broken_is_caught(variant: Variant) -> None:
    with variant.in_place():
        found = audit(training(8.0))
    assert found.caught
    assert found.claimed < 1


def test_lots_that_are_not_sampled_are_caught() -> None:
    asked = training(2.5, rate=0.05)
    assert not audit(asked).caught
    with EVERYBODY.in_place():
        assert audit(asked).caught


def test_new_noise_for_a_round_that_is_asked_again_would_be_caught() -> None:
    assert not replay.stored().caught
    assert replay.fresh().caught


@pytest.mark.slow
def test_through_the_workers_process_and_the_gate(tmp_path: Path) -> None:
    """Of that process's own noise: so many guesses that an honest hospital is six deviations from being accused; of
    `GUESSES` one in four thousand would be."""
    with behind_gate(tmp_path) as hospital:
        assert not audit(training(8.0), hospital=hospital, guesses=4 * GUESSES).caught


@pytest.mark.slow
def test_the_attack_works_through_the_workers_process_and_the_gate(tmp_path: Path) -> None:
    """With so little noise, every guess is right there too. At half the rate, one canary in four thousand that is there
    would be in no lot of all twelve, and be guessed wrong."""
    with behind_gate(tmp_path) as hospital:
        found = audit(training(0.05, rate=0.95), hospital=hospital)
    assert found.correct == GUESSES
    assert not found.caught


def test_every_canary_that_is_there_can_train() -> None:
    coins = np.ones(20, np.bool_)
    asked = training(8.0, canaries=20)
    table = table_of(coins, 0)
    assert TrustedStudy(asked, table).training_rows == len(table)
