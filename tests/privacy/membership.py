"""Membership inference on released models: was this patient among those it was trained on?

The likelihood-ratio attack of Carlini et al. (2022), "Membership inference attacks from first principles": many models
are trained on random halves of the patients, and a patient's loss under the attacked model is compared with what it is
under other models with and without the patient. These patients are ordinary, not crafted: numbers and outcomes at
random, so that nothing can be learnt of them but by remembering them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.metrics import roc_auc_score, roc_curve
from torch import nn

from datasites.training.private.study import TrustedStudy
from datasites.wire.preparation import NumberInput, Preparation, Target
from datasites.wire.training import Optimizer, Training
from policies.privacy.accounting import epsilon
from researcher.tracing import trace
from tests.privacy.bounds import one_run
from tests.privacy.canaries import DELTA, of_the_training, right

PATIENTS, WIDTH, MODELS, GUESSES, LOW = 200, 100, 24, 40, 0.01


@dataclass(frozen=True)
class Membership:
    """auc: of telling members from others, over all models. at_low: true positives at 1% false positives.
    empirical: from the guesses about the first model alone, whose coins are independent."""

    claimed: float
    auc: float
    at_low: float
    empirical: float


def training(noise: float) -> Training:
    names = [f"x{number}" for number in range(WIDTH)]
    return Training(
        graph=trace(nn.Linear(WIDTH, 1), WIDTH),
        preparation=Preparation(inputs=tuple(NumberInput(column=n) for n in names), target=Target(column="y")),
        optimizer=Optimizer(learning_rate=1.0),
        steps=60,
        sampling_rate=0.5,
        expected_lot=50.0,
        clip=4.0,
        noise_multiplier=noise,
        encounters=1,
    )


def attack(asked: Training, seed: int = 0) -> Membership:
    rng = np.random.default_rng(seed)
    table = _table(rng)
    coins = rng.random((MODELS, PATIENTS)) < 0.5
    confidence = np.stack([_confidence(asked, table, coin) for coin in coins])
    scores = np.stack([_ratios(confidence, coins, model) for model in range(MODELS)])
    false, true, _ = roc_curve(coins.ravel(), scores.ravel())
    return Membership(
        claimed=epsilon(asked.plan(1), DELTA),
        auc=float(roc_auc_score(coins.ravel(), scores.ravel())),
        at_low=float(true[false <= LOW].max()),
        empirical=one_run(PATIENTS, GUESSES, right(scores[0], coins[0], GUESSES), DELTA),
    )


def _confidence(asked: Training, table: pd.DataFrame, coin: np.ndarray) -> np.ndarray:
    """The logit of the probability that the released model gives to each patient's own outcome."""
    initial = {"weight": np.zeros((1, WIDTH), np.float32), "bias": np.zeros(1, np.float32)}
    state, _, _ = TrustedStudy(asked, table[coin]).fit(initial)
    logits = table.iloc[:, :WIDTH].to_numpy() @ state["weight"][0] + state["bias"]
    return np.asarray(logits * (2 * table["y"].to_numpy() - 1))


def _ratios(confidence: np.ndarray, coins: np.ndarray, model: int) -> np.ndarray:
    """Log-likelihood ratios of "in" and "out" for each patient, from all other models; variances in common."""
    others = np.arange(len(coins)) != model
    inside, values = coins[others], confidence[others]
    present, absent = (_log_likelihood(confidence[model], values, chosen) for chosen in (inside, ~inside))
    return np.asarray(present - absent)


def _log_likelihood(at: np.ndarray, values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    mean = np.nanmean(np.where(chosen, values, np.nan), axis=0)
    return np.asarray(norm.logpdf(at, mean, np.sqrt(np.mean((values - mean)[chosen] ** 2))))


def _table(rng: np.random.Generator) -> pd.DataFrame:
    table = pd.DataFrame(rng.normal(size=(PATIENTS, WIDTH)), columns=[f"x{number}" for number in range(WIDTH)])
    return table.assign(y=rng.integers(0, 2, PATIENTS), patient=of_the_training(PATIENTS))
