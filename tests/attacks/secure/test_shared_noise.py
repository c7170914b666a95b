"""Noise that hospitals share: dropouts and colluders, as many as the claim bears, leave all of it in the sum."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from datasites.training.private.shared_noise import discrete_gaussians, shared_counts
from datasites.wire.identity import Identity
from datasites.wire.outputs import ArraySpec, OutputContract
from datasites.wire.secagg.masks import Ring
from datasites.wire.secagg.numbers import Part, read, written
from datasites.wire.training import HISTOGRAM
from tests.support.secure import Sum, identities, terms_of

NOISE, BINS = 30.0, 1000  # a patient counts once
COUNTS = np.full((2, BINS), 7)
CONTRACT = OutputContract(
    parameters={},
    fit_metrics=(),
    evaluate_metrics=(),
    evaluate_arrays={HISTOGRAM: ArraySpec(shape=COUNTS.shape, dtype="int64")},
)
NEAR = 5.5 / (2 * COUNTS.size) ** 0.5  # a deviation of so many draws is not further off, relatively


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Identity]:
    """Six hospitals: two may vanish, and one of them may be the researcher's."""
    return identities(tmp_path_factory.mktemp("shared"), 6)


def left(one: Sum, noisy: dict[str, np.ndarray], coalition: list[str]) -> float:
    """The deviation of the noise in the sum for a researcher whom a coalition has told what it added."""

    def numbers(name: str) -> Ring:
        return written(CONTRACT, one.terms, {}, None, Part(1, {}, {HISTOGRAM: noisy[name]}), noisy=True)

    total = one.run({name: numbers(name) for name in one.people})
    _, evaluated = read(CONTRACT, one.terms, {}, total, False, True)
    assert evaluated
    honest = evaluated.arrays[HISTOGRAM] - sum(noisy[name] for name in coalition)
    others = evaluated.examples - len(coalition)
    return float((honest - others * COUNTS).std())


def test_whoever_vanishes_a_coalition_at_the_bound_leaves_the_claimed_noise(people: dict[str, Identity]) -> None:
    terms = terms_of(people, honest=5)
    assert terms.sharing
    names = sorted(people)
    noisy = {name: shared_counts(COUNTS, 1.0, NOISE, terms.sharing) for name in names}
    gone = {"numbers": names[:2]}  # both honest: the worst that can be
    assert left(Sum(people, terms, gone=gone), noisy, names[-1:]) > NOISE * (1 - NEAR)
    assert left(Sum(people, terms, gone=gone), noisy, names[-2:]) < NOISE * (1 - NEAR)  # more is not promised
    assert left(Sum(people, terms), noisy, []) == pytest.approx(NOISE * (6 / 3) ** 0.5, rel=NEAR)


def test_a_share_alone_is_too_little_and_stays_masked(people: dict[str, Identity]) -> None:
    """What it would be worth to whoever could read one hospital's numbers; `test_sums` shows that nobody can."""
    sharing = terms_of(people, honest=5).sharing
    assert sharing
    own = shared_counts(COUNTS, 1.0, NOISE, sharing) - COUNTS
    assert float(own.std()) == pytest.approx(NOISE / 3**0.5, rel=NEAR)


def test_two_calls_never_have_the_same_noise(tmp_path: Path) -> None:
    """Each call runs in a process of its own, forked from one that may have drawn before."""
    discrete_gaussians(10, 1000.0)
    drawn = [discrete_gaussians(10, 1000.0).tolist()]
    for number in range(2):
        path = tmp_path / str(number)
        if (child := os.fork()) == 0:
            try:
                path.write_text(str(discrete_gaussians(10, 1000.0).tolist()))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        drawn.append(json.loads(path.read_text()))
    assert len({tuple(one) for one in drawn}) == 3
