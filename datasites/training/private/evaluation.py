"""The hospital's own evaluation: how test patients score, as counts with noise.

From the noisy histograms of all hospitals the researcher gets the AUC over all test patients, calibration and Brier
score (`researcher.private_metrics`); that is post-processing, and costs no more privacy.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from datasites.training.private.loop import load, tensors
from datasites.training.private.patients import Patients
from datasites.training.private.randomness import SecureRandom, noisy_counts
from datasites.training.private.shared_noise import shared_counts
from datasites.wire.arrays import Arrays
from datasites.wire.training import Evaluation, Training
from policies.privacy.sharing import Sharing


def evaluate(
    parameters: Arrays,
    patients: Patients,
    training: Training,
    random: SecureRandom,
    sharing: Sharing | None = None,
) -> NDArray[np.int64]:
    """Noisy counts [2, bins] of predicted probabilities, row 0 of encounters without the outcome, row 1 with it.

    Each test patient counts with at most `evaluation.encounters` encounters, so one patient moves the counts by at
    most so much in L2. Some counts come out below 0. The study must have an evaluation. sharing: with this hospital's
    share of the noise alone; they may leave in a secure sum, and no other way.
    """
    asked = training.evaluation
    if asked is None:
        raise ValueError("the study has no evaluation")
    counts = histogram(parameters, patients, training, asked, random)
    if sharing:
        return shared_counts(counts, asked.sensitivity, asked.noise_multiplier, sharing)
    return noisy_counts(counts, asked.sensitivity, asked.noise_multiplier, random)


def histogram(
    parameters: Arrays, patients: Patients, training: Training, asked: Evaluation, random: SecureRandom
) -> NDArray[np.int64]:
    """The counts as they are: not to leave the hospital."""
    module = load(training.graph, parameters).eval()
    counts = np.zeros(2 * asked.bins, np.int64)
    with torch.no_grad():
        for lot in patients.draw(1.0, random):
            inputs, targets, present = tensors(lot)
            logits = module(inputs.flatten(0, 1)).reshape(targets.shape)[present].numpy()
            counts += np.bincount(_cells(logits, targets[present].numpy(), asked), minlength=len(counts))
    return counts.reshape(2, asked.bins)


def _cells(logits: NDArray[np.float64], outcomes: NDArray[np.float64], asked: Evaluation) -> NDArray[np.int64]:
    """Where each encounter counts. A score that is no number counts as the lowest: it must not stop the evaluation."""
    with np.errstate(over="ignore"):
        probability = 1 / (1 + np.exp(-np.where(np.isnan(logits), -np.inf, logits)))
    bins = np.searchsorted(np.asarray(asked.edges), probability, side="right")
    return (outcomes > 0.5) * asked.bins + bins
