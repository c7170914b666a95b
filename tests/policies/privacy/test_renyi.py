from __future__ import annotations

import math
import random

import numpy as np
import pytest

from benchmarks.histories import history
from policies.privacy import Event, Gaussian, SampledGaussian
from policies.privacy.accounting import epsilon
from policies.privacy.events import repeated
from policies.privacy.renyi import ORDERS, RenyiFilter, admission_epsilon, curve


def test_admission_is_never_below_the_truth() -> None:
    rng = random.Random(3)
    histories = [history(rng) for _ in range(3)] + [[Gaussian(0.3)], [Gaussian(500.0)], [SampledGaussian(0.6, 0.2, 9)]]
    for events in histories:
        for delta in (1e-3, 1e-7):
            true, counted = epsilon(events, delta), admission_epsilon(events, delta)
            assert counted >= true
            assert not RenyiFilter(true * 0.999, delta).admits(curve(events))
            assert RenyiFilter(counted, delta).admits(curve(events))


def test_it_is_not_far_above_it_either() -> None:
    for events in ([SampledGaussian(5.0, 0.064, 300)], [SampledGaussian(2.0, 0.01, 1000)], [Gaussian(5.0, 12)]):
        assert admission_epsilon(events, 1e-5) < 1.3 * epsilon(events, 1e-5)


def test_curves_of_gaussians_are_mironovs() -> None:
    np.testing.assert_allclose(curve([Gaussian(2.0, 3)]), 3 * ORDERS / 8)
    np.testing.assert_allclose(curve([SampledGaussian(2.0, 1.0, 3)]), 3 * ORDERS / 8)
    assert (curve([SampledGaussian(2.0, 0.1, 3)]) < 3 * ORDERS / 8).all()


@pytest.mark.parametrize("limit", [0.1, 1.0, 10.0])
def test_the_shares_of_delta_are_no_more_than_delta(limit: float) -> None:
    """Turns the room at each order back into the delta it stands for."""
    delta = 1e-6
    room = RenyiFilter(limit, delta).room
    shares = np.exp((room - limit + np.log1p(-1 / ORDERS)) * (ORDERS - 1)) / ORDERS
    assert shares.sum() == pytest.approx(delta)
    assert shares.max() == pytest.approx(delta / 2)


def test_an_adaptive_researcher_does_not_get_beyond_the_limit() -> None:
    """An adversary that knows what it has learned so far chooses noise that pays at another order in each branch, until
    the filter stops it. Its privacy loss, drawn 20,000 times, exceeds epsilon as seldom as delta says."""
    rng, limit, delta = np.random.default_rng(0), 1.0, 1e-2
    wall = RenyiFilter(limit, delta)
    losses = np.zeros(20_000)
    choices: list[Event] = [Gaussian(4.0), Gaussian(30.0)]
    used = np.zeros((len(losses), len(choices)), dtype=int)
    running = np.ones(len(losses), dtype=bool)
    admitted = _table(wall, choices)
    for _ in range(400):
        wanted = np.where(losses > 0.1, 0, 1)  # greedy when ahead
        for index, event in enumerate(choices):
            after = used.copy()
            after[:, index] += 1
            allowed = running & (wanted == index) & admitted[after[:, 0], after[:, 1]]
            mean = 1 / (2 * event.noise_multiplier**2)  # of the loss, under the table with the patient
            losses += allowed * rng.normal(mean, math.sqrt(2 * mean), len(losses))
            used[allowed, index] += 1
            running &= allowed | (wanted != index)
    assert not running.any()
    assert np.maximum(0, 1 - np.exp(limit - losses)).mean() <= delta


def _table(wall: RenyiFilter, choices: list[Event]) -> np.ndarray:
    """Whether so many of the first and of the second are admitted."""
    first, second = (curve([event]) for event in choices)
    counts = np.arange(500)
    sums = counts[:, None, None] * first + counts[None, :, None] * second
    return np.array((sums <= wall.room).any(axis=2))


def test_a_repetition_costs_as_often_as_it_happens() -> None:
    one = SampledGaussian(2.0, 0.05, 1)
    np.testing.assert_allclose(curve([repeated(one, 50)]), 50 * curve([one]))
