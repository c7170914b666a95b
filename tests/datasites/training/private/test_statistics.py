from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from datasites.training.private.patients import Patients
from datasites.training.private.randomness import SecureRandom
from datasites.training.private.statistics import TrustedStatistics, counted, released, summed
from datasites.wire.preparation import CategoryInput, NumberInput
from datasites.wire.statistics import STATISTICS, Statistics
from policies.errors import InvalidInput

AGE = NumberInput(column="age", center=50.0, scale=50.0, low=-1.0, high=1.0, indicator=True)
SEX = CategoryInput(column="sex", categories=("female", "male"))


def asked(**changes: object) -> Statistics:
    return Statistics(**{"inputs": (AGE, SEX), "noise_multiplier": 3.0, **changes})  # type: ignore[arg-type]


def view(patients: int, seed: int = 0) -> pd.DataFrame:
    """Patient i has 1 + i % 4 encounters; ages may be missing or beyond their bounds."""
    rng = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(patients), 1 + np.arange(patients) % 4)
    ages = np.where(rng.random(len(numbers)) < 0.2, np.nan, rng.uniform(-100, 200, len(numbers)))
    return pd.DataFrame({"age": ages, "sex": rng.choice(["female", "male"], len(numbers)), "patient": numbers})


@pytest.fixture
def random() -> SecureRandom:
    return SecureRandom(bytes(32))


def exact(table: pd.DataFrame, statistics: Statistics, random: SecureRandom) -> np.ndarray:
    return summed(Patients(counted(table, statistics), statistics.encounters), random)


def test_the_sums_are_those_of_the_table_with_numbers_held_to_their_bounds(random: SecureRandom) -> None:
    table = view(40)
    ages = np.clip(table["age"], 0, 100)
    expected = [len(table), ((ages - 50) / 50).sum(), ages.isna().sum(), *table["sex"].value_counts().sort_index()]
    np.testing.assert_allclose(exact(table, asked(encounters=4), random), expected, rtol=1e-5)


def test_with_one_encounter_counts_are_of_patients(random: SecureRandom) -> None:
    sums = exact(view(40), asked(), random)
    assert sums[0] == 40
    assert sums[3:].sum() == 40


@pytest.mark.parametrize("encounters", [1, 2, 4])
def test_taking_out_any_one_patient_moves_them_by_at_most_the_sensitivity(encounters: int) -> None:
    """The patient's encounters are alike, so that which ones are drawn does not matter; everybody else has one."""
    statistics = asked(encounters=encounters)
    for age in (-1e9, 0.0, 100.0, np.nan, np.inf):
        others = pd.DataFrame({"age": [3.0, 60.0], "sex": ["male", "female"], "patient": [1, 2]})
        patient = pd.DataFrame({"age": [age] * 9, "sex": ["male"] * 9, "patient": [3] * 9})
        without = exact(others, statistics, SecureRandom.fresh())
        moved = np.linalg.norm(exact(pd.concat([others, patient]), statistics, SecureRandom.fresh()) - without)
        assert moved <= statistics.sensitivity + 1e-9


def test_the_sensitivity_is_reached_so_it_is_not_too_wide(random: SecureRandom) -> None:
    patient = pd.DataFrame({"age": [100.0] * 3, "sex": ["male"] * 3, "patient": [3] * 3})
    assert np.linalg.norm(exact(patient, asked(encounters=3), random)) == pytest.approx(3 * 3**0.5)


def test_they_are_unbiased_and_have_the_noise_that_is_claimed(random: SecureRandom) -> None:
    statistics = asked(encounters=2, noise_multiplier=5.0)
    table = view(30).groupby("patient").head(2)  # so that nothing is drawn
    patients = Patients(counted(table, statistics), 2)
    errors = np.array([released(patients, statistics, random) for _ in range(600)]) - summed(patients, random)
    assert statistics.deviation == pytest.approx(5 * 2 * 3**0.5)
    assert np.abs(errors.mean(0)).max() < 4 * statistics.deviation / 600**0.5
    np.testing.assert_allclose(errors.std(0), statistics.deviation, rtol=4 / (2 * 600) ** 0.5)
    assert np.abs(np.corrcoef(errors.T) - np.eye(5)).max() < 0.2


def test_an_empty_table_answers_with_noise_alone(random: SecureRandom) -> None:
    assert not exact(view(0), asked(), random).any()
    size, row = TrustedStatistics(asked(), view(0)).evaluate({})
    assert (size, row[STATISTICS].shape) == (1, (5,))
    assert row[STATISTICS].all()


def test_it_trains_nothing() -> None:
    with pytest.raises(InvalidInput, match="trains nothing"):
        TrustedStatistics(asked(), view(3)).fit({})
    assert asked().events(fit=True, evaluate=True) == ()


@pytest.mark.parametrize(
    "one",
    [
        NumberInput(column="age", low=-2.0, high=1.0),
        NumberInput(column="age", low=-1.0, high=1.0, missing=1e9),
        CategoryInput(column="sex", categories=("a", "b"), encoding="index"),
        SEX,
    ],
)
def test_what_would_move_more_than_the_noise_covers_is_refused(one: object) -> None:
    with pytest.raises(ValidationError):
        asked(inputs=(SEX, one))
