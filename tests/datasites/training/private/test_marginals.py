from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from datasites.training.private.marginals import TrustedMarginals, binned, released, tallied
from datasites.training.private.patients import Patients
from datasites.training.private.randomness import SecureRandom
from datasites.wire.marginals import Binned, Marginals
from datasites.wire.statistics import STATISTICS
from policies.errors import InvalidInput

AGE = Binned(column="age", edges=(30.0, 60.0), missing=True)
SEX = Binned(column="sex", categories=("female", "male"))
ILL = Binned(column="ill", edges=(0.5,))


def asked(**changes: object) -> Marginals:
    return Marginals(**{"inputs": (AGE, SEX, ILL), "noise_multiplier": 3.0, **changes})  # type: ignore[arg-type]


def view(patients: int, seed: int = 0) -> pd.DataFrame:
    """Patient i has 1 + i % 4 encounters; ages may be missing or beyond their bounds."""
    rng = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(patients), 1 + np.arange(patients) % 4)
    ages = np.where(rng.random(len(numbers)) < 0.2, np.nan, rng.uniform(-100, 200, len(numbers)))
    sexes, ill = rng.choice(["female", "male"], len(numbers)), rng.integers(0, 2, len(numbers))
    return pd.DataFrame({"age": ages, "sex": sexes, "ill": ill, "patient": numbers})


def exact(table: pd.DataFrame, marginals: Marginals) -> np.ndarray:
    return tallied(Patients(binned(table, marginals), marginals.encounters), marginals, SecureRandom.fresh())


@pytest.mark.parametrize("around", [None, "ill"])
def test_the_counts_are_those_of_the_table(around: str | None) -> None:
    table, marginals = view(300), asked(encounters=4, around=around)
    age = np.where(table["age"].isna(), 3, np.digitize(table["age"], [30, 60]))
    sex, ill = (table["sex"] == "male").to_numpy().astype(int), table["ill"].to_numpy()
    columns = {"age": (age, 4), "sex": (sex, 2), "ill": (ill, 2)}
    expected = [np.bincount(codes, minlength=n) for codes, n in columns.values()]
    for one, other in [("age", "sex"), ("age", "ill"), ("sex", "ill")]:
        if around in (None, one, other):
            (first, n), (second, m) = columns[one], columns[other]
            expected.append(np.bincount(first * m + second, minlength=n * m))
    assert exact(table, marginals).tolist() == np.concatenate(expected).tolist()
    assert marginals.width == len(np.concatenate(expected))


@pytest.mark.parametrize(("encounters", "around"), [(1, None), (3, None), (1, "ill")])
def test_one_patient_moves_them_by_exactly_the_sensitivity(encounters: int, around: str | None) -> None:
    marginals = asked(encounters=encounters, around=around)
    others = view(3)[["age", "sex", "ill", "patient"]].drop_duplicates("patient")
    for age in (-1e9, 45.0, np.nan, np.inf):
        patient = pd.DataFrame({"age": [age] * 9, "sex": "male", "ill": 1, "patient": 9})
        moved = exact(pd.concat([others, patient]), marginals) - exact(others, marginals)
        assert np.linalg.norm(moved) == pytest.approx(marginals.sensitivity)


def test_they_are_unbiased_and_have_the_noise_that_is_claimed() -> None:
    marginals, random = asked(noise_multiplier=5.0), SecureRandom(bytes(32))
    patients = Patients(binned(view(40).drop_duplicates("patient"), marginals), 1)
    truth = tallied(patients, marginals, random)
    errors = np.array([released(patients, marginals, random) for _ in range(600)]) - truth
    assert marginals.deviation == pytest.approx(5 * 6**0.5)
    assert np.abs(errors.mean(0)).max() < 4 * marginals.deviation / 600**0.5
    np.testing.assert_allclose(errors.std(0), marginals.deviation, rtol=4.5 / (2 * 600) ** 0.5)
    assert np.abs(np.corrcoef(errors.T) - np.eye(marginals.width)).max() < 0.2


def test_a_value_that_no_cell_was_made_for_counts_in_the_first_and_raises_nothing() -> None:
    strange = pd.DataFrame({"age": [None, "old"], "sex": [np.nan, "?"], "ill": [np.nan, "yes"], "patient": [1, 2]})
    assert exact(strange, asked())[:8].tolist() == [0, 0, 0, 2, 2, 0, 2, 0]


def test_an_empty_table_answers_with_noise_alone() -> None:
    assert not exact(view(0), asked()).any()
    size, row = TrustedMarginals(asked(), view(0)).evaluate({})
    assert (size, row[STATISTICS].shape) == (1, (asked().width,))
    assert np.count_nonzero(row[STATISTICS]) > asked().width / 2


def test_it_trains_nothing() -> None:
    with pytest.raises(InvalidInput, match="trains nothing"):
        TrustedMarginals(asked(), view(3)).fit({})
    assert asked().events(fit=True, evaluate=True) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"inputs": (AGE, AGE)},
        {"inputs": (AGE,)},
        {"around": "weight"},
        {"inputs": tuple(Binned(column=f"x{i}", edges=tuple(map(float, range(999)))) for i in range(3))},
        {"encounters": 0},
        {"noise_multiplier": 0.0},
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        asked(**changes)


@pytest.mark.parametrize(
    "cut", [{}, {"edges": (1.0, 1.0)}, {"edges": (2.0, 1.0)}, {"edges": (1.0,), "categories": ("a",)}]
)
def test_a_column_is_cut_in_one_way(cut: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Binned(column="x", **cut)  # type: ignore[arg-type]
