from __future__ import annotations

import random

import pytest

from benchmarks.histories import history, reference
from policies.errors import InvalidInput
from policies.privacy import Event, Gaussian, Laplace, SampledGaussian, accounting
from policies.privacy.accounting import INTERVAL, epsilon
from policies.privacy.events import repeated


def test_random_histories_are_as_dp_accounting_says() -> None:
    """1,000 of them: python -m benchmarks.ledger_error."""
    rng = random.Random(7)
    for _ in range(4):
        events = history(rng)
        assert epsilon(events, 1e-5) == pytest.approx(reference(events, 1e-5, INTERVAL), abs=1e-6)


def test_a_known_value() -> None:
    assert epsilon([SampledGaussian(1.1, 0.064, 300)], 1e-5) == pytest.approx(6.336, abs=5e-4)


def test_three_studies_cost_less_than_the_sum_of_them() -> None:
    studies: list[Event] = [SampledGaussian(4.0, 0.05, 200), SampledGaussian(3.0, 0.03, 300), Gaussian(8.0, 2)]
    together, summed = epsilon(studies, 1e-5), sum(epsilon([one], 1e-5) for one in studies)
    assert max(epsilon([one], 1e-5) for one in studies) < together < 0.75 * summed


def test_coarser_steps_only_round_up(monkeypatch: pytest.MonkeyPatch) -> None:
    events = (SampledGaussian(2.0, 0.1, 100), Gaussian(5.0), Laplace(4.0))
    fine = epsilon(events, 1e-5)
    many = tuple(Gaussian(200.0 + number) for number in range(40))
    assert accounting.interval(many, 1e-5) == 10 * INTERVAL
    assert accounting.interval((Gaussian(0.1),), 1e-5) > INTERVAL
    for coarse in (3e-4, 1e-3, 1e-2):
        monkeypatch.setattr(accounting, "INTERVAL", coarse)
        assert epsilon(events, 1e-5) >= fine - 1e-6


def test_nothing_released_costs_nothing_and_more_costs_more() -> None:
    assert epsilon([], 1e-5) == 0.0
    one = SampledGaussian(4.0, 0.05, 10)
    assert epsilon([one], 1e-5) < epsilon([repeated(one, 20)], 1e-5)
    for delta in (0.0, 1.0, -1.0):
        with pytest.raises(InvalidInput, match="delta"):
            epsilon([one], delta)
