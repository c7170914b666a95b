"""From how well an attacker guesses to a lower bound on epsilon that holds with a stated confidence.

`one_run` is the bound of Steinke, Nasr and Jagielski (2023), "Privacy auditing with one (1) training run" (NeurIPS),
theorem 5.2, computed as in its appendix D: many canaries, each there or not by a coin of its own, in one run.
`two_worlds` is the classical one (Jagielski et al. 2020; Nasr et al. 2021): many runs, with and without one patient.

A mechanism that is what it claims exceeds its claim with probability at most 1 - confidence. One that stays below may
still be broken: an attack proves that something leaks, never that nothing does.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, binom

CONFIDENCE = 0.95
_HALVINGS = 40


def p_value(canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """The most likely that at least `correct` of `guesses` are right if the mechanism is (epsilon, delta)-private.

    Under pure privacy they are at most as many as a binomial number with the accuracy of randomised response. Delta
    adds at most 2 * canaries * delta * max_i P[correct - i <= binomial < correct] / i.
    """
    accuracy = 1 / (1 + math.exp(-epsilon))
    pure = binom.sf(correct - 1, guesses, accuracy)
    below = np.cumsum(binom.pmf(np.arange(correct - 1, -1, -1), guesses, accuracy))
    extra = float(np.max(below / np.arange(1, correct + 1))) if correct else 0.0
    return min(1.0, float(pure) + 2 * canaries * delta * extra)


def one_run(canaries: int, guesses: int, correct: int, delta: float, confidence: float = CONFIDENCE) -> float:
    """The greatest epsilon that so many right guesses rule out; 0 when they rule out none.

    canaries: coins that were thrown. guesses: of them, those guessed at, a number fixed beforehand. correct: the right.
    """
    if not 0 <= correct <= guesses <= canaries:
        raise ValueError("there are at most as many right guesses as guesses, and as guesses canaries")
    return _greatest(lambda epsilon: p_value(canaries, guesses, correct, epsilon, delta) < 1 - confidence)


def two_worlds(
    present: NDArray[np.bool_], absent: NDArray[np.bool_], delta: float, confidence: float = CONFIDENCE
) -> float:
    """From what a fixed test said in independent runs with the patient (`present`) and without (`absent`).

    (epsilon, delta)-privacy means P[yes | present] <= e^epsilon P[yes | absent] + delta, the same the other way round,
    and both for "no". Every rate is bounded by Clopper and Pearson; the two that bind share the failure probability.
    """
    one_sided = (1 - confidence) / 2
    inside = rates(int(present.sum()), len(present), one_sided)
    outside = rates(int(absent.sum()), len(absent), one_sided)
    yes, no = (inside[0], outside[1]), (1 - outside[1], 1 - inside[0])  # (at least, at most): the same two bounds
    ratios = [(least - delta) / most for least, most in (yes, no) if most > 0]
    return max(0.0, *(math.log(ratio) for ratio in ratios if ratio > 0), 0.0)


def rates(hits: int, runs: int, tail: float) -> tuple[float, float]:
    """What the probability of a hit is at least and at most, each with probability 1 - tail (Clopper and Pearson)."""
    least = 0.0 if hits == 0 else float(beta.ppf(tail, hits, runs - hits + 1))
    most = 1.0 if hits == runs else float(beta.ppf(1 - tail, hits + 1, runs - hits))
    return least, most


def _greatest(ruled_out: Callable[[float], bool]) -> float:
    high = 1.0
    while ruled_out(high):
        high *= 2
    low = 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if ruled_out(middle) else (low, middle)
    return low
