from __future__ import annotations

import math

import numpy as np
import pytest

from datasites.training.prepare import Rows
from datasites.training.private.patients import CHUNK, TEST_SHARE, Patients, split
from datasites.training.private.randomness import SecureRandom


@pytest.fixture
def random() -> SecureRandom:
    return SecureRandom(b"k" * 32)


def rows(encounters: list[int]) -> Rows:
    """Patient number i has encounters[i] rows; an input tells patient and encounter, numbered from 1."""
    numbers = [(p, e) for p, many in enumerate(encounters, start=1) for e in range(1, many + 1)]
    inputs = np.array(numbers, np.float32).reshape(-1, 2)
    order = np.random.default_rng(0).permutation(len(inputs))
    return Rows(inputs[order], np.ones(len(inputs), np.float32), inputs[order, 0].astype(np.int64))


def drawn(patients: Patients, rate: float, random: SecureRandom) -> list[list[tuple[int, int]]]:
    """For each patient of a lot: (patient, encounter) of what is present."""
    found = []
    for lot in patients.draw(rate, random):
        assert lot.inputs.shape[:2] == lot.present.shape == lot.targets.shape
        assert not lot.inputs[~lot.present].any()
        assert not lot.targets[~lot.present].any()
        found += [[(int(p), int(e)) for p, e in x[here]] for x, here in zip(lot.inputs, lot.present, strict=True)]
    return [one for one in found if one]


def test_a_patient_never_contributes_more_than_k_encounters_of_their_own(random: SecureRandom) -> None:
    counts = [1, 2, 3, 40, 7] * 60
    for k in (1, 3):
        lot = drawn(Patients(rows(counts), k), 1.0, random)
        assert [len(one) for one in lot] == [min(k, many) for many in counts]
        assert all(len({p for p, _ in one}) == 1 for one in lot)
        assert all(len(set(one)) == len(one) for one in lot)


def test_the_k_encounters_are_drawn_uniformly(random: SecureRandom) -> None:
    draws = 4000  # by as many patients as one another
    seen = np.zeros(6)
    for one in drawn(Patients(rows([5] * draws), 2), 1.0, random):
        for _, encounter in one:
            seen[encounter] += 1
    assert np.abs(seen[1:] / draws - 0.4).max() < 4 * math.sqrt(0.4 * 0.6 / draws)


def test_lots_are_poisson_samples_of_patients(random: SecureRandom) -> None:
    patients = Patients(rows([1, 30] * 50), 2)
    lots = [{one[0][0] for one in drawn(patients, 0.3, random)} for _ in range(1000)]
    sizes = np.array([len(lot) for lot in lots])
    assert sizes.mean() == pytest.approx(30, abs=4 * math.sqrt(21 / 1000))
    assert sizes.var() == pytest.approx(21, rel=0.2)
    # a patient of thirty encounters is in no more lots than one of a single encounter
    many = np.mean([len([p for p in lot if p % 2 == 0]) for lot in lots])
    assert many == pytest.approx(15, abs=4 * math.sqrt(10.5 / 1000))


def test_blocks_have_one_size_whatever_the_lots_have(random: SecureRandom) -> None:
    for many in (0, 1, CHUNK, CHUNK + 1):
        blocks = list(Patients(rows([2] * many), 3).draw(1.0, random))
        assert {lot.inputs.shape for lot in blocks} == {(CHUNK, 3, 2)}
        assert sum(int(lot.present.any(1).sum()) for lot in blocks) == many


def test_the_split_is_by_patient_and_the_same_whoever_else_is_there() -> None:
    whole = rows([3] * 5000)
    training, test = split(whole)
    assert not set(training.patients) & set(test.patients)
    assert len(training) + len(test) == len(whole)
    share = len(np.unique(test.patients)) / 5000
    assert share == pytest.approx(TEST_SHARE, abs=4 * math.sqrt(0.16 / 5000))
    few, few_test = split(whole.of(whole.patients <= 100))
    assert set(few_test.patients) == {p for p in test.patients if p <= 100}
    assert set(few.patients) == {p for p in training.patients if p <= 100}
