from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from researcher.metrics import auc_deviation, auc_from_histogram, federated_auc, weighted_mean


def histogram(labels: np.ndarray, scores: np.ndarray, bins: int) -> np.ndarray:
    counts = np.zeros((2, bins), np.int64)
    np.add.at(counts, (labels, scores), 1)
    return counts


@pytest.mark.parametrize("seed", range(8))
def test_it_is_the_exact_auc_of_tied_scores(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels, scores = rng.integers(0, 2, 500), rng.integers(0, 2 + 3 * seed, 500)
    counts = histogram(labels, scores, 30)
    assert auc_from_histogram(counts) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_binning_costs_at_most_half_the_pairs_that_meet() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 2000)
    scores = np.clip(rng.normal(0.4 + 0.2 * labels, 0.2), 0, 0.9999)
    counts = histogram(labels, (scores * 50).astype(int), 50)
    bound = (counts[0] * counts[1]).sum() / counts[0].sum() / counts[1].sum() / 2
    assert abs(auc_from_histogram(counts) - roc_auc_score(labels, scores)) <= bound


def test_the_federations_auc_is_that_of_the_union() -> None:
    rng = np.random.default_rng(2)
    parts = [(rng.integers(0, 2, n), rng.integers(low, low + 6, n)) for n, low in ((40, 0), (300, 4))]
    union = roc_auc_score(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    own = [roc_auc_score(*part) for part in parts]
    assert federated_auc([histogram(*part, 12) for part in parts]) == pytest.approx(union, abs=1e-12)
    assert abs(np.mean(own) - union) > 0.005  # a mean of AUCs is another number


def test_without_both_classes_there_is_no_auc() -> None:
    assert math.isnan(auc_from_histogram(np.array([[3, 4], [0, 0]])))
    assert math.isnan(federated_auc([]))
    one_each = [np.array([[0, 5], [0, 0]]), np.array([[0, 0], [5, 0]])]
    assert federated_auc(one_each) == 0.0


def test_weighted_mean() -> None:
    assert weighted_mean([1.0, 4.0], [1, 2]) == 3.0
    assert math.isnan(weighted_mean([], []))


def test_an_aucs_deviation_is_what_drawing_patients_again_gives() -> None:
    rng = np.random.default_rng(0)
    chances = np.array([np.linspace(3, 1, 20), np.linspace(1, 3, 20)])
    drawn = [
        np.stack([rng.multinomial(n, p / p.sum()) for n, p in zip((300, 80), chances, strict=True)]) for _ in range(400)
    ]
    found = np.mean([auc_deviation(histogram) for histogram in drawn])
    assert found == pytest.approx(np.std([auc_from_histogram(histogram) for histogram in drawn]), rel=0.1)
    assert np.isnan(auc_deviation(np.array([[3, 2], [1, 0]])))
