"""A hospital's table full of canaries, and how well they are told from the states that it releases.

A canary is a patient with eight encounters, all in a column of its own and as large as the preparation lets through, so
that what it adds to a gradient is as long as can be and nobody else's points the same way. Each is in the table by a
coin of its own; the attacker knows everything but the coins, sees every released state, and asks for what the ledger
charges and no more. No record could be easier to find: what holds here holds for all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import nn

from datasites.training.prepare import Rows
from datasites.training.private.patients import split
from datasites.training.private.study import TrustedStudy
from datasites.wire.arrays import Arrays
from datasites.wire.preparation import NumberInput, Preparation, Target
from datasites.wire.training import Optimizer, Training
from policies.privacy.accounting import epsilon
from researcher.tracing import trace
from tests.privacy.bounds import one_run

DELTA = 1e-5
CANARIES, GUESSES = 1000, 100
ENCOUNTERS, SIZE = 8, 40.0
CLIP, LOT, ROUNDS, STEPS = 8.0, 250.0, 3, 4
OTHERS, OTHER_COLUMNS = 150, 4

Fit = Callable[[Arrays], Arrays]  # what one round makes of a state
Hospital = Callable[[Training, pd.DataFrame], Fit]


@dataclass(frozen=True)
class Found:
    """`empirical` is the greatest epsilon that the guesses rule out; `claimed` is the ledger's."""

    claimed: float
    empirical: float
    guesses: int
    correct: int

    @property
    def caught(self) -> bool:
        """Whether the claim is refuted."""
        return self.empirical > self.claimed


def training(noise: float, rate: float = 0.5, steps: int = STEPS, canaries: int = CANARIES) -> Training:
    """A linear model without a bias: one weight for each canary, a few for the other patients."""
    names = [f"x{number}" for number in range(canaries + OTHER_COLUMNS)]
    inputs = tuple(NumberInput(column=name, low=-SIZE, high=SIZE) for name in names)
    return Training(
        graph=trace(nn.Linear(len(names), 1, bias=False), len(names)),
        preparation=Preparation(inputs=inputs, target=Target(column="y")),
        optimizer=Optimizer(learning_rate=0.004),  # so little that no canary's gradient fades
        steps=steps,
        sampling_rate=rate,
        expected_lot=LOT,
        clip=CLIP,
        noise_multiplier=noise,
        encounters=ENCOUNTERS,
    )


def in_process(asked: Training, table: pd.DataFrame) -> Fit:
    """The hospital's own training, without the processes around it."""
    study = TrustedStudy(asked, table)
    return lambda state: study.fit(state)[0]


def audit(
    asked: Training,
    seed: int = 0,
    hospital: Hospital = in_process,
    rounds: int = ROUNDS,
    repeats: int = 1,
    guesses: int = GUESSES,
) -> Found:
    """One run of `rounds` rounds, and what the states tell of the coins.

    repeats: how often each round is asked again, and its answers averaged, without paying for it.
    guesses: how many at most; the more, the less it is chance that decides.
    """
    canaries = asked.preparation.width - OTHER_COLUMNS
    coins = np.random.default_rng(seed).random(canaries) < 0.5
    fit = hospital(asked, table_of(coins, seed))
    start = {"weight": np.zeros((1, asked.preparation.width), np.float32)}
    state = start
    for _ in range(rounds):
        answers = [fit(state)["weight"].astype(np.float64) for _ in range(repeats)]
        state = {"weight": np.mean(answers, axis=0).astype(np.float32)}
    scores = (state["weight"] - start["weight"])[0, :canaries]
    claimed = epsilon(asked.plan(rounds), DELTA)
    guesses = min(guesses, canaries)
    correct = right(scores, coins, guesses)
    return Found(claimed, one_run(canaries, guesses, correct, DELTA), guesses, correct)


def right(scores: NDArray[np.float64], coins: NDArray[np.bool_], guesses: int) -> int:
    """How many guesses are right: the highest half of them "in", the lowest "out", and nothing said of all others."""
    order = np.argsort(scores)
    half = guesses // 2
    return int(coins[order[-(guesses - half) :]].sum() + (~coins[order[:half]]).sum())


def table_of(coins: NDArray[np.bool_], seed: int) -> pd.DataFrame:
    """A study's view of the table: the canaries whose coins say so, and other patients in columns of their own."""
    rng = np.random.default_rng([seed, 1])
    numbers = of_the_training(len(coins) + OTHERS)
    there = np.flatnonzero(coins)
    inputs = np.zeros((ENCOUNTERS * len(there) + OTHERS, len(coins) + OTHER_COLUMNS))
    inputs[np.arange(ENCOUNTERS * len(there)), np.repeat(there, ENCOUNTERS)] = SIZE
    inputs[ENCOUNTERS * len(there) :, len(coins) :] = rng.normal(size=(OTHERS, OTHER_COLUMNS))
    table = pd.DataFrame(inputs, columns=[f"x{number}" for number in range(inputs.shape[1])])
    outcome = np.concatenate([np.ones(ENCOUNTERS * len(there), np.int64), rng.integers(0, 2, OTHERS)])
    patient = np.concatenate([np.repeat(numbers[there], ENCOUNTERS), numbers[len(coins) :]])
    return table.assign(y=outcome, patient=patient)


def of_the_training(count: int) -> NDArray[np.int64]:
    """So many pseudonyms that fall to the training patients; the others would only be wasted on the test."""
    return _sides(count)[0][:count]


def of_the_test(count: int) -> NDArray[np.int64]:
    return _sides(6 * count)[1][:count]


def _sides(count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    numbers = np.arange(2 * count + 50, dtype=np.int64)
    nothing = np.zeros((len(numbers), 1), np.float32)
    training_side, test_side = split(Rows(nothing, nothing[:, 0], numbers))
    return training_side.patients, test_side.patients
