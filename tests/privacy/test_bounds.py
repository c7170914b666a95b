"""The bounds themselves, on mechanisms whose epsilon is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from tests.privacy.bounds import CONFIDENCE, one_run, p_value, two_worlds

RUNS = 400


def right_guesses(rng: np.random.Generator, epsilon: float, guesses: int) -> np.ndarray:
    """Of randomised response, which is exactly epsilon-private, and told in the clear."""
    return rng.binomial(guesses, 1 / (1 + math.exp(-epsilon)), RUNS)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 3.0])
def test_randomised_response_exceeds_its_epsilon_in_at_most_one_of_twenty_runs(epsilon: float) -> None:
    rng = np.random.default_rng(0)
    correct, often = np.unique(right_guesses(rng, epsilon, 1000), return_counts=True)
    found = np.repeat([one_run(1000, 1000, int(v), 0.0) for v in correct], often)
    allowed = binom.ppf(0.999, RUNS, 1 - CONFIDENCE)
    assert (found > epsilon).sum() <= allowed
    assert found.mean() > epsilon - 0.25  # and the bound is not idle


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_two_worlds_of_randomised_response_too(epsilon: float) -> None:
    rng, truth = np.random.default_rng(1), 1 / (1 + math.exp(-epsilon))
    found = np.array([two_worlds(rng.random(500) < truth, rng.random(500) < 1 - truth, 0.0) for _ in range(RUNS)])
    assert (found > epsilon).sum() <= binom.ppf(0.999, RUNS, 1 - CONFIDENCE)
    assert found.mean() > epsilon - 0.5


def test_a_mechanism_that_gives_everything_away_with_probability_delta_is_within_its_delta() -> None:
    """For each canary by itself, with probability delta its coin is told, else nothing: (0, delta)-private."""
    rng, delta, canaries = np.random.default_rng(2), 0.01, 1000
    told = rng.random((RUNS, canaries)) < delta
    guessed_right = told | (rng.random((RUNS, canaries)) < 0.5)
    # what is told is guessed first; the number of guesses is fixed
    order = np.argsort(~told, axis=1, kind="stable")[:, :20]
    correct = np.take_along_axis(guessed_right, order, 1).sum(1)
    bound = {(v, d): one_run(canaries, 20, v, d) for v in map(int, set(correct)) for d in (0.0, delta)}
    assert np.mean([bound[int(v), delta] > 0 for v in correct]) <= 1 - CONFIDENCE
    assert (
        np.mean([bound[int(v), 0.0] > 0 for v in correct]) > 0.5
    )  # who forgets the term for delta accuses an honest mechanism


@pytest.mark.parametrize(("guesses", "correct"), [(10, 10), (40, 31), (100, 0), (7, 5)])
def test_the_term_for_delta_is_the_papers(guesses: int, correct: int) -> None:
    """Against the loop of appendix D, written out."""
    canaries, epsilon, delta = 200, 0.8, 1e-4
    accuracy = 1 / (1 + math.exp(-epsilon))
    alpha = total = 0.0
    for i in range(1, correct + 1):
        total += binom.pmf(correct - i, guesses, accuracy)
        if total > i * alpha:
            alpha = total / i
    expected = binom.sf(correct - 1, guesses, accuracy) + alpha * delta * 2 * canaries
    assert p_value(canaries, guesses, correct, epsilon, delta) == pytest.approx(min(1, expected), rel=1e-12)


def test_a_perfect_attacker_proves_what_so_many_guesses_can() -> None:
    for guesses in (20, 100, 500):
        best = 0.05 ** (1 / guesses)  # the accuracy that is all right by chance in one of twenty runs
        assert one_run(1000, guesses, guesses, 0.0) == pytest.approx(math.log(best / (1 - best)), rel=1e-6)
    yes, no = np.ones(300, np.bool_), np.zeros(300, np.bool_)
    assert two_worlds(yes, no, 1e-5) > 4
    assert two_worlds(yes, yes, 1e-5) == two_worlds(no, yes, 1e-5) == 0.0
