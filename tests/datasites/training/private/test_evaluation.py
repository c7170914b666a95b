from __future__ import annotations

import math

import numpy as np
import pytest

from datasites.training.private.evaluation import evaluate, histogram
from datasites.training.private.patients import Patients
from datasites.training.private.randomness import SecureRandom
from datasites.wire.arrays import Arrays
from datasites.wire.training import Evaluation
from tests.support.private import rows, state, training

KEY = b"k" * 32
EDGES = (0.2, 0.4, 0.6, 0.8)


def counts(parameters: Arrays, patients: Patients, encounters: int) -> np.ndarray:
    asked = Evaluation(edges=EDGES, noise_multiplier=1.0, encounters=encounters)
    return histogram(parameters, patients, training(evaluation=asked), asked, SecureRandom(KEY))


def test_the_histogram_counts_scores_by_outcome() -> None:
    table = rows(200)
    found = counts(state(), Patients(table, 10), 10)
    scores = 1 / (1 + np.exp(-(table.inputs.astype(np.float64) @ state()["weight"][0].astype(np.float64))))
    for outcome in (0, 1):
        expected, _ = np.histogram(scores[table.targets == outcome], bins=[0, *EDGES, 1])
        assert found[outcome].tolist() == expected.tolist()


@pytest.mark.parametrize("encounters", [1, 2, 4])
def test_taking_out_any_one_patient_moves_it_by_at_most_its_sensitivity(encounters: int) -> None:
    table = rows(40)
    same = table.of(table.patients >= 0)
    same.inputs[:] = 1  # all encounters of a patient in one bin: the worst case
    same.targets[:] = 1
    whole = counts(state(), Patients(same, encounters), encounters)
    without = (counts(state(), Patients(same.of(same.patients != p), encounters), encounters) for p in range(40))
    moved = [np.linalg.norm(whole - one) for one in without]
    assert max(moved) == encounters


@pytest.mark.parametrize("weight", [1e38, -1e38])
def test_scores_beyond_all_bounds_are_counted_like_others(weight: float) -> None:
    parameters = {"weight": np.array([[weight, -weight, weight]], np.float32), "bias": np.zeros(1, np.float32)}
    assert counts(parameters, Patients(rows(50), 1), 1).sum() == 50


def test_the_noise_of_each_count_is_what_is_claimed() -> None:
    patients = Patients(rows(30), 2)
    exact = counts(state(), Patients(rows(0), 2), 2)
    assert not exact.any()
    asked = training(evaluation=Evaluation(edges=EDGES, noise_multiplier=4.0, encounters=2))
    nobody = Patients(rows(0), 2)
    noise = np.array([evaluate(state(), nobody, asked, SecureRandom.fresh()) for _ in range(800)])
    assert np.std(noise) == pytest.approx(8, rel=6 / math.sqrt(2 * noise.size))  # the noise is new at each run
    assert evaluate(state(), patients, asked, SecureRandom.fresh()).dtype == np.int64
