from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from datasites.training.private.randomness import SecureRandom, noisy_counts, noisy_sum

MANY = 200_000
LIKELY = 1e-4  # a fixed key, so these tests give the same answer each time


@pytest.fixture
def random() -> SecureRandom:
    return SecureRandom(bytes(range(32)))


def test_two_streams_differ_unless_a_test_gives_both_one_key() -> None:
    assert not np.array_equal(SecureRandom.fresh().words(4), SecureRandom.fresh().words(4))
    assert np.array_equal(SecureRandom(bytes(32)).words(4), SecureRandom(bytes(32)).words(4))


def test_the_stream_is_chacha20() -> None:
    # RFC 8439, A.1, test vector 1: the key stream of the zero key and nonce
    assert SecureRandom(bytes(32)).words(1).tobytes().hex() == "76b8e0ada0f13d90"


def test_gaussians_are_normal(random: SecureRandom) -> None:
    drawn = random.gaussians(MANY)
    assert stats.kstest(drawn, "norm").pvalue > LIKELY
    assert np.var(drawn) == pytest.approx(1, abs=4 * math.sqrt(2 / MANY))
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 4 / math.sqrt(MANY)
    assert stats.kurtosis(drawn) == pytest.approx(0, abs=4 * math.sqrt(24 / MANY))


@pytest.mark.parametrize("rate", [0.001, 0.2, 0.75])
def test_units_are_chosen_independently_at_the_rate(random: SecureRandom, rate: float) -> None:
    lots = random.chosen(MANY, rate).reshape(400, -1)
    sizes = lots.sum(1)
    assert lots.mean() == pytest.approx(rate, abs=4 * math.sqrt(rate * (1 - rate) / MANY))
    expected = lots.shape[1] * rate * (1 - rate)  # a sampler of fixed size has no variance
    assert np.var(sizes, ddof=1) == pytest.approx(expected, rel=4 * math.sqrt(2 / 399))


def test_all_or_nobody(random: SecureRandom) -> None:
    assert random.chosen(100, 1.0).all()
    assert not random.chosen(100, 1e-30).any()


@pytest.mark.parametrize(("sensitivity", "noise"), [(4.0, 1.1), (0.03, 20.0)])
def test_a_noisy_sum_has_the_noise_that_is_claimed(random: SecureRandom, sensitivity: float, noise: float) -> None:
    total = np.linspace(-50, 50, MANY)
    residual = (noisy_sum(total, sensitivity, noise, random) - total) / (sensitivity * noise)
    assert stats.kstest(residual, "norm").pvalue > LIKELY
    assert np.std(residual) == pytest.approx(1, abs=4 / math.sqrt(2 * MANY))


def test_what_can_come_out_does_not_depend_on_the_sum(random: SecureRandom) -> None:
    step = 4.0 * 2.0**-32
    for total in (0.1, 1 / 3, 1e-17, 12345.678):
        released = noisy_sum(np.full(1000, total), 4.0, 1.0, random) / step
        assert np.array_equal(released, np.rint(released))  # all on one public grid
        assert {int(value) % 2 for value in released} == {0, 1}


def test_noise_is_never_less_than_claimed_for_the_rounding(random: SecureRandom) -> None:
    zeros = np.zeros(MANY)
    claimed = SecureRandom(bytes(range(32))).gaussians(MANY) * 4.0
    assert np.abs(noisy_sum(zeros, 4.0, 1.0, random)).sum() > np.abs(claimed).sum()


def test_noisy_counts_are_whole_and_have_the_noise_that_is_claimed(random: SecureRandom) -> None:
    counts = np.full((2, MANY // 2), 3)
    noisy = noisy_counts(counts, 2.0, 5.0, random)
    assert noisy.dtype == np.int64
    assert noisy.shape == counts.shape
    assert (noisy < 0).any()
    assert np.var(noisy - counts) == pytest.approx(100 + 1 / 12, rel=4 * math.sqrt(2 / MANY))
