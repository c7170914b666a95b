"""Private marginals with and without one patient, as they are and broken on purpose."""

from __future__ import annotations

import dp_accounting
import pytest

from tests.privacy.canaries import DELTA
from tests.privacy.marginals import NOISE, audit
from tests.privacy.variants import MARGINALS, Variant


def test_a_patient_is_hidden_as_well_as_the_ledger_says() -> None:
    claimed, empirical = audit()
    assert claimed == pytest.approx(dp_accounting.get_epsilon_gaussian(NOISE, DELTA), rel=1e-3)
    assert empirical < claimed


@pytest.mark.parametrize("variant", MARGINALS, ids=lambda variant: variant.name)
def test_what_is_broken_is_caught(variant: Variant) -> None:
    with variant.in_place():
        claimed, empirical = audit()
    assert empirical > claimed
