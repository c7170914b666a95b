"""Metrics over a federation that are more than means of means."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

SCORE_HISTOGRAM = "score_histogram"


def auc_from_histogram(histogram: NDArray[np.int64] | NDArray[np.float64]) -> float:
    """The area under the ROC curve of binned scores; NaN when a class is absent.

    histogram: counts of shape (2, bins), row 0 negatives and row 1 positives, bins in ascending order of the score.
    It is the Mann-Whitney statistic with ties counted half (Hanley and McNeil, 1982): scores in one bin are ties, so
    it differs from the exact value by at most half the share of (negative, positive) pairs that meet in a bin.
    """
    negatives, positives = np.asarray(histogram, dtype=np.float64)
    pairs = negatives.sum() * positives.sum()
    if pairs == 0:
        return float("nan")
    below = np.cumsum(negatives) - negatives
    return float((positives * (below + negatives / 2)).sum() / pairs)


def auc_deviation(histogram: NDArray[np.int64] | NDArray[np.float64]) -> float:
    """The standard deviation of `auc_from_histogram` over patients drawn alike (DeLong, DeLong and Clarke-Pearson,
    1988); NaN where a class has fewer than two."""
    negatives, positives = np.asarray(histogram, dtype=np.float64)
    if min(negatives.sum(), positives.sum()) < 2:
        return float("nan")
    below = (np.cumsum(negatives) - negatives / 2) / negatives.sum()  # of a positive of the bin
    above = 1 - (np.cumsum(positives) - positives / 2) / positives.sum()  # of a negative of the bin
    variance = _variance(below, positives) / positives.sum() + _variance(above, negatives) / negatives.sum()
    return float(np.sqrt(variance))


def federated_auc(histograms: Iterable[NDArray[np.int64]]) -> float:
    """The AUC over the union of all hospitals' test patients, not a mean of the hospitals' AUCs.

    A mean of AUCs never compares a patient of one hospital with a patient of another; the sum of the hospitals' score
    histograms does.
    """
    stacked = [np.asarray(histogram, dtype=np.int64) for histogram in histograms]
    return auc_from_histogram(np.sum(stacked, axis=0)) if stacked else float("nan")


def weighted_mean(values: Iterable[float], weights: Iterable[float]) -> float:
    """NaN for nothing."""
    pairs = [(value, weight) for value, weight in zip(values, weights, strict=True)]
    total = sum(weight for _, weight in pairs)
    return sum(value * weight for value, weight in pairs) / total if total else float("nan")


def _variance(values: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    """Of so many of each value; unbiased."""
    mean = (values * counts).sum() / counts.sum()
    return float((counts * (values - mean) ** 2).sum() / (counts.sum() - 1))
