"""A patient's record from the update that was made of it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.privacy.inversion import TRIALS, chance, closeness, exact, private_update, raw_update, record
from tests.privacy.variants import TRAINING


def test_a_raw_update_of_one_patient_is_the_patient() -> None:
    for seed in range(5):
        x = record(seed)
        assert exact(raw_update(x)) == pytest.approx(x, abs=1e-4)
        assert closeness(raw_update(x), x) > 0.9999


@pytest.mark.parametrize("noise", [1.0, 8.0])
def test_an_update_of_the_private_tier_is_no_better_than_a_guess(noise: float) -> None:
    """From the worst table there can be: nobody but this one patient."""
    found = np.array([closeness(private_update(record(seed), noise), record(seed)) for seed in range(TRIALS)])
    blind = chance()
    assert abs(found.mean() - blind.mean()) < 4 * blind.std() / np.sqrt(TRIALS)
    x = record(0)
    assert np.median(np.abs(exact(private_update(x, noise)) - x)) > 0.3


def test_without_its_noise_it_would_be_the_patient() -> None:
    x = record(0)
    with TRAINING[0].in_place():
        assert exact(private_update(x, 1.0)) == pytest.approx(x, abs=1e-4)
