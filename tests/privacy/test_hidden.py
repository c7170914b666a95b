"""Gate noise on the reviewed tier's updates, as it is and broken on purpose."""

from __future__ import annotations

import numpy as np
import pytest

from tests.privacy.hidden import audit, closeness
from tests.privacy.inversion import TRIALS, chance
from tests.privacy.variants import GATE, Variant


def test_two_tables_are_told_apart_no_better_than_the_ledger_says() -> None:
    claimed, empirical = audit()
    assert claimed < 1.5
    assert empirical < claimed


@pytest.mark.parametrize("variant", GATE, ids=lambda variant: variant.name)
def test_what_is_broken_is_caught(variant: Variant) -> None:
    with variant.in_place():
        claimed, empirical = audit()
    assert empirical > claimed


def test_no_record_comes_back_from_behind_it() -> None:
    found, blind = np.array([closeness(seed) for seed in range(TRIALS)]), chance()
    assert abs(found.mean() - blind.mean()) < 4 * blind.std() / np.sqrt(TRIALS)
