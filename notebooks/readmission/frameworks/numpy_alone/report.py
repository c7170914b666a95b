"""What a hospital reports of a model's predictions on its test patients."""

import numpy as np
import scores


def report(logit: np.ndarray, label: np.ndarray) -> dict[str, float | np.ndarray]:
    """Counts and averages. Where all patients had the same outcome there is no AUC, and the entry is left out.

    logit: the model's answer for each patient; its `probability` is that of being readmitted.
    """
    predicted = probability(logit)
    metrics: dict[str, float | np.ndarray] = {
        "loss": loss(logit, label),
        "accuracy": float(((predicted >= 0.5) == label).mean()),
        "score_histogram": scores.histogram(predicted, label),
    }
    if (auc := scores.auc(predicted, label)) is not None:
        metrics["auc"] = auc
    return metrics


def probability(logit: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-logit)), without overflow."""
    return (1 + np.tanh(logit / 2)) / 2


def loss(logit: np.ndarray, label: np.ndarray) -> float:
    """The mean negative log-likelihood."""
    return float((np.logaddexp(0, logit) - label * logit).mean())
