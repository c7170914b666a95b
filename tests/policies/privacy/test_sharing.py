from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent, SelfComposedDpEvent, ZCDpEvent
from dp_accounting.rdp import RdpAccountant

from policies.errors import InvalidInput
from policies.privacy import Gaussian, Plan, SampledGaussian, SharedGaussian
from policies.privacy.accounting import epsilon
from policies.privacy.calibration import noise_for
from policies.privacy.events import from_json, to_json, told
from policies.privacy.renyi import ORDERS, admission_epsilon, curve
from policies.privacy.sharing import Sharing

EVENT = SharedGaussian(4.0, 3, 3, 2)


def test_it_costs_what_dp_accounting_says_of_zero_concentrated_privacy() -> None:
    accountant = RdpAccountant().compose(SelfComposedDpEvent(ZCDpEvent(1 / 32), 2))
    assert epsilon([EVENT], 1e-6) == pytest.approx(accountant.get_epsilon(1e-6), rel=1e-12)
    gaussian = RdpAccountant(ORDERS.tolist()).compose(SelfComposedDpEvent(GaussianDpEvent(4.0), 2))
    np.testing.assert_allclose(curve([EVENT]), gaussian.rdp, rtol=1e-12)
    assert epsilon([Gaussian(4.0, 2)], 1e-6) < epsilon([EVENT], 1e-6) <= admission_epsilon([EVENT], 1e-6)


def test_it_is_composed_with_training_and_calibrated() -> None:
    training = SampledGaussian(1.0, 0.02, 300)
    both = epsilon([training, EVENT], 1e-6)
    assert max(epsilon([training], 1e-6), epsilon([EVENT], 1e-6)) < both
    noise = noise_for(0.5, 1e-6, Plan(1, (SharedGaussian(1.0, 3, 3),)))
    assert 0.99 * 0.5 < epsilon([SharedGaussian(noise, 3, 3)], 1e-6) <= 0.5


def test_the_ledger_keeps_the_trust_assumption() -> None:
    assert from_json(to_json(EVENT)) == EVENT
    assert told(EVENT).endswith("distributed: at least 3 honest of 3")
    for honest, hospitals in ((0, 3), (4, 3), (2.0, 3), (True, 3)):
        with pytest.raises(InvalidInput):
            SharedGaussian(4.0, honest, hospitals)


def test_whoever_vanishes_and_whoever_colludes_the_honest_noise_is_enough() -> None:
    """All sums that can be: any hospitals vanish that may, and any of the dishonest add nothing that counts."""
    tried = 0
    for hospitals in range(3, 21):
        least = -(-2 * hospitals // 3)
        for honest in range(2 * (hospitals - least) + 1, hospitals + 1):
            own = Sharing(hospitals, least, honest).deviation(30.0, 1.0, 100)
            for gone, bad in product(range(hospitals - least + 1), range(hospitals - honest + 1)):
                good = hospitals - bad - min(gone, hospitals - bad)  # the honest ones vanish first
                assert math.sqrt(good) * own >= 30.0
                tried += 1
    assert tried > 1000


def test_who_may_read_less_than_the_sum_is_not_trusted_with_noise() -> None:
    """With 6 hospitals 4 must sign the list: two dishonest ones and two halves of the others would sign two lists."""
    assert Sharing(6, 4, 5).shares == 3
    for honest in (0, 4, 7):
        with pytest.raises(InvalidInput, match="5 to 6 of 6 hospitals"):
            Sharing(6, 4, honest)


def test_a_sum_of_few_steps_of_noise_is_widened_or_refused() -> None:
    """tau of Kairouz, Liu and Steinke 2021; the noise is wide enough by Proposition 14."""
    sharing = Sharing(20, 14, 20)
    wide, narrow = sharing.deviation(30.0, 1.0, 64), sharing.deviation(4.6, 1.0, 64)
    assert wide * math.sqrt(14) == pytest.approx(30.0, rel=1e-5)
    assert narrow * math.sqrt(14) > 4.6 * 1.0001
    tau = 10 * sum(math.exp(-2 * math.pi**2 * narrow**2 * k / (k + 1)) for k in range(1, 20))
    assert 1 / (narrow * math.sqrt(14)) + tau * math.sqrt(64) <= 1 / 4.6
    with pytest.raises(InvalidInput, match="too little to be shared over 14"):
        sharing.deviation(2.0, 1.0, 64)
