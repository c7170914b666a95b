from __future__ import annotations

from pathlib import Path

import pytest

from docs.wrong_formulas import PATIENTS, claimed, dp_sgd, proven_of_clipped_weights

PAGE = (Path(__file__).parents[2] / "docs" / "wrong-formulas.md").read_text()


@pytest.mark.parametrize("sigma", [1.1, 12.0])
def test_the_page_says_what_the_arithmetic_says(sigma: float) -> None:
    weights = f"{proven_of_clipped_weights(sigma, PATIENTS):.1e} | {proven_of_clipped_weights(sigma):,.0f}"
    assert f"| {sigma:g} | {claimed(sigma):,.2f} | {weights} | {dp_sgd(sigma):.2f} |" in PAGE


def test_the_claim_is_below_the_truth_or_means_nothing() -> None:
    for sigma in (0.9, 1.1, 2.0, 12.0):
        assert claimed(sigma) < proven_of_clipped_weights(sigma)
    assert claimed(0.9) < 0
