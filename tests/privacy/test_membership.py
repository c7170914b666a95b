"""Membership inference on released models of ordinary patients."""

from __future__ import annotations

from tests.privacy.membership import attack, training
from tests.privacy.variants import PLAIN


def test_members_cannot_be_told_from_others() -> None:
    found = attack(training(30.0))
    assert found.claimed < 1
    assert 0.45 < found.auc < 0.55
    assert found.empirical < found.claimed


def test_without_clipping_and_noise_they_can() -> None:
    with PLAIN.in_place():
        found = attack(training(30.0))
    assert found.auc > 0.75
    assert found.at_low > 0.05
    assert found.empirical > found.claimed
