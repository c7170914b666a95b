from __future__ import annotations

import numpy as np
import pytest

from policies.errors import InvalidInput
from researcher.private_metrics import PrivateScores
from researcher.private_study import even_edges

EDGES = even_edges(0.15)
NOISE = 5.0


def hospitals(seed: int, noise: float, patients: int = 6_000) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Three noisy histograms of a calibrated model, and all scores and outcomes."""
    rng = np.random.default_rng(seed)
    scores = 1 / (1 + np.exp(-rng.normal(-1.8, 0.9, (3, patients))))
    outcomes = (rng.random(scores.shape) < scores).astype(int)
    bins = np.searchsorted(EDGES, scores, side="right")
    counts = [
        np.stack([np.bincount(b[y == outcome], minlength=len(EDGES) + 1) for outcome in (0, 1)])
        for b, y in zip(bins, outcomes, strict=True)
    ]
    noisy = [one + np.rint(rng.normal(0, noise, one.shape)).astype(np.int64) for one in counts]
    return noisy, scores.ravel(), outcomes.ravel()


def exact_auc(scores: np.ndarray, outcomes: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(outcomes, scores))


def test_edges_are_public_ascending_and_around_the_prior() -> None:
    assert len(EDGES) == 31
    assert sorted(EDGES) == EDGES
    assert EDGES[15] == pytest.approx(0.15)


def test_without_noise_the_measures_are_those_of_the_scores() -> None:
    noisy, scores, outcomes = hospitals(0, 0.0)
    found = PrivateScores(noisy, EDGES, 0.0)
    assert found.auc().value == pytest.approx(exact_auc(scores, outcomes), abs=0.002)
    assert found.brier().value == pytest.approx(np.mean((scores - outcomes) ** 2), abs=0.001)
    assert found.tested().value == len(scores)
    assert found.positives().value == outcomes.sum()
    calibration = found.calibration().query("count > 300")
    assert (abs(calibration["predicted"] - calibration["observed"]) < 0.06).all()


def test_bands_hold_the_truth_about_as_often_as_they_say() -> None:
    held = {"auc": 0, "brier": 0, "positives": 0}
    truth_auc = exact_auc(*hospitals(999, 0.0, 60_000)[1:])
    for seed in range(60):
        noisy, scores, outcomes = hospitals(seed, NOISE, 1_000)
        found = PrivateScores(noisy, EDGES, NOISE, seed)
        truth = {"auc": truth_auc, "brier": np.mean((scores - outcomes) ** 2), "positives": outcomes.sum()}
        for name, value in truth.items():
            band = getattr(found, name)()
            held[name] += band.low <= value <= band.high
    assert min(held.values()) >= 51  # of 60; 95% of 60 is 57, and 51 is four standard deviations less


def test_noise_widens_the_bands() -> None:
    widths = []
    for noise in (0.0, 5.0, 50.0):
        band = PrivateScores(hospitals(1, noise)[0], EDGES, noise).auc()
        widths.append(band.high - band.low)
    assert widths == sorted(widths)
    assert widths[2] > 2 * widths[0]


def test_a_calibration_group_stands_out_from_its_noise() -> None:
    few = PrivateScores(hospitals(1, 50.0)[0], EDGES, 50.0).calibration()
    many = PrivateScores(hospitals(1, 1.0)[0], EDGES, 1.0).calibration()
    assert len(few) < len(many)
    assert few["count"].sum() > 0
    assert few["low"].between(0, 1).all()


def test_histograms_that_are_not_there_or_of_other_bins_are_refused() -> None:
    with pytest.raises(InvalidInput, match="no score histogram"):
        PrivateScores([], EDGES, 1.0)
    with pytest.raises(InvalidInput, match="bins"):
        PrivateScores([np.zeros((2, 5), np.int64)], EDGES, 1.0)
