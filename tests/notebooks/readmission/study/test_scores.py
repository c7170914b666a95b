from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score


def _scores(rows: int, decimals: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    label = (rng.random(rows) < 0.11).astype(np.float32)
    return rng.beta(2 + label, 16, rows).round(decimals).astype(np.float32), label


def _auc(histogram: np.ndarray) -> float:
    """What a researcher makes of histograms: pairs in the same bin count half."""
    negatives, positives = histogram
    below = np.cumsum(negatives) - negatives
    return float((positives * (below + negatives / 2)).sum() / (negatives.sum() * positives.sum()))


@pytest.mark.parametrize("decimals", [7, 2])
def test_auc_counts_ties_half(code: SimpleNamespace, decimals: int) -> None:
    probability, label = _scores(5000, decimals)
    assert code.scores.auc(probability, label) == pytest.approx(roc_auc_score(label, probability), abs=1e-12)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_no_auc_where_all_had_the_same_outcome(code: SimpleNamespace, label: float) -> None:
    assert code.scores.auc(np.array([0.1, 0.2]), np.array([label, label])) is None


def test_summed_histograms_give_the_pooled_auc(code: SimpleNamespace) -> None:
    probability, label = _scores(20_000, 7)
    parts = np.array_split(np.arange(20_000), [500, 4000])
    total = sum(code.scores.histogram(probability[part], label[part]) for part in parts)
    assert _auc(total) == pytest.approx(roc_auc_score(label, probability), abs=0.0005)


def test_histogram_counts_everyone_once(code: SimpleNamespace) -> None:
    probability = np.array([0.0, 0.0005, 0.5, 1.0, 1.0], dtype=np.float32)
    histogram = code.scores.histogram(probability, np.array([0.0, 1.0, 1.0, 0.0, 1.0]))
    assert (histogram.dtype, histogram.shape) == (np.int64, (2, 1000))
    assert histogram[:, [0, 500, 999]].tolist() == [[1, 0, 1], [1, 1, 1]]
    assert histogram.sum() == 5
