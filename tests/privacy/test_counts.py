"""Private counts with and without one patient, as they are and broken on purpose."""

from __future__ import annotations

import pytest

from policies.privacy.accounting import epsilon
from policies.privacy.events import Gaussian
from tests.privacy.canaries import DELTA
from tests.privacy.counts import NOISE, audit
from tests.privacy.variants import COUNTS, Variant


def test_a_patient_is_hidden_as_well_as_the_ledger_says() -> None:
    claimed, empirical = audit()
    assert claimed == epsilon([Gaussian(NOISE)], DELTA)
    assert empirical < claimed


@pytest.mark.parametrize("variant", COUNTS, ids=lambda variant: variant.name)
def test_what_is_broken_is_caught(variant: Variant) -> None:
    with variant.in_place():
        claimed, empirical = audit()
    assert empirical > claimed
