"""How well predicted probabilities separate the readmitted from the others."""

import numpy as np

BINS = 1000


def histogram(probability: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Counts of probabilities in 1000 equal bins of [0, 1]: int64, row 0 the not readmitted, row 1 the readmitted.

    Histograms of several hospitals add up to that of all their patients together, from which follows the pooled AUC,
    though no single prediction left any hospital.
    """
    bins = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    return np.stack([np.bincount(bins[label == outcome], minlength=BINS) for outcome in (0, 1)]).astype(np.int64)


def auc(probability: np.ndarray, label: np.ndarray) -> float | None:
    """The chance that a readmitted patient scores above another one, ties counted half; None without both kinds."""
    positives, negatives = probability[label == 1], np.sort(probability[label == 0])
    if len(positives) == 0 or len(negatives) == 0:
        return None
    below = np.searchsorted(negatives, positives, side="left")
    not_above = np.searchsorted(negatives, positives, side="right")
    return float((below + not_above).mean() / 2 / len(negatives))
