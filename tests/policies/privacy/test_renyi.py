from __future__ import annotations

import random

import numpy as np
import pytest

from benchmarks.histories import history
from policies.privacy import Gaussian, SampledGaussian
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


def test_a_repetition_costs_as_often_as_it_happens() -> None:
    one = SampledGaussian(2.0, 0.05, 1)
    np.testing.assert_allclose(curve([repeated(one, 50)]), 50 * curve([one]))
