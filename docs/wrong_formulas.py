"""The arithmetic of wrong-formulas.md.

python -m docs.wrong_formulas
"""

from __future__ import annotations

import math

from dp_accounting.gaussian_mechanism import get_epsilon_gaussian

from policies.privacy import SampledGaussian
from policies.privacy.accounting import epsilon

PATIENTS, BATCH, ROUNDS, DELTA = 20_000, 64, 12, 1e-5
TENSORS = 8  # weights and biases of a network of four layers
STEPS, RATE = ROUNDS * (PATIENTS // BATCH), BATCH / PATIENTS


def claimed(sigma: float) -> float:
    """The conversion from Renyi to (epsilon, delta) privacy with the noise multiplier written in place of the order."""
    order = sigma
    return STEPS * RATE**2 * order / (2 * sigma**2) + math.log(1 / DELTA) / (order - 1)


def proven_of_clipped_weights(sigma: float, divided_by: int = 1) -> float:
    """Each of the tensors is clipped to norm 1, so two sets of weights may be 2 * sqrt(TENSORS) apart; the noise on
    each number is sigma / divided_by; once a round."""
    noise = sigma / divided_by / (2 * math.sqrt(TENSORS))
    return float(get_epsilon_gaussian(noise / math.sqrt(ROUNDS), DELTA))


def dp_sgd(sigma: float) -> float:
    """Clipping each patient's gradient, Poisson sampling, and the noise on the sum."""
    return epsilon([SampledGaussian(sigma, RATE, STEPS)], DELTA)


if __name__ == "__main__":
    for sigma in (0.9, 1.1, 2.0, 12.0):
        weights = f"{proven_of_clipped_weights(sigma, PATIENTS):.1e}", f"{proven_of_clipped_weights(sigma):,.0f}"
        print(f"| {sigma:g} | {claimed(sigma):,.2f} | {' | '.join(weights)} | {dp_sgd(sigma):.2f} |")
