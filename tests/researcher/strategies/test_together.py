"""Median, trimmed mean, Krum and Multi-Krum: what faulty and hostile hospitals can do against them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from datasites.wire.arrays import Arrays
from policies.errors import InvalidInput
from researcher.errors import RoundFailed
from researcher.strategies import FedAvg, Krum, Median, MultiKrum, Strategy, TrimmedMean, Update

Aggregate = Callable[..., tuple[Arrays, Arrays]]
Model = Callable[[int], Arrays]
ROBUST: list[Strategy] = [Median(), TrimmedMean(0.2), Krum(1), MultiKrum(1)]
EACH = pytest.mark.parametrize("strategy", ROBUST, ids=lambda strategy: strategy.name)


def _round(strategy: Strategy, sent: dict[str, tuple[np.ndarray, int]]) -> np.ndarray:
    aggregation = strategy.begin({"w": np.zeros(3)}, {})
    for hospital, (values, examples) in sent.items():
        aggregation.add(Update(hospital, {"w": values}, examples))
    return aggregation.result()[0]["w"]


@EACH
@settings(max_examples=60, deadline=None)
@given(
    seed=some.integers(0, 2**32 - 1),
    lie=some.lists(some.floats(-1e300, 1e300), min_size=3, max_size=3),
    claims=some.integers(1, 10**9),
    liar=some.sampled_from("abcde"),
)
def test_one_liar_cannot_leave_the_range_of_the_honest(
    strategy: Strategy, seed: int, lie: list[float], claims: int, liar: str
) -> None:
    rng = np.random.default_rng(seed)
    sent = {hospital: (rng.normal(size=3), 100) for hospital in "abcde"}
    honest = np.stack([values for hospital, (values, _) in sent.items() if hospital != liar])
    sent[liar] = (np.array(lie), claims)
    after = _round(strategy, sent)
    if isinstance(strategy, Krum):
        # the chosen may be the liar's, but then it lies among the honest: no further than they are from each other
        reach = 2 * max(np.linalg.norm(one - other) for one in honest for other in honest)
        assert np.linalg.norm(after - honest.mean(axis=0)) <= reach
    else:
        assert (after >= honest.min(axis=0) - 1e-9).all()
        assert (after <= honest.max(axis=0) + 1e-9).all()


def test_the_same_liar_takes_fedavg_along() -> None:
    sent = {hospital: (np.ones(3), 100) for hospital in "abcd"} | {"e": (np.full(3, 1e6), 100)}
    assert (_round(FedAvg(), sent) > 1e5).all()


@EACH
def test_claimed_examples_count_for_nothing(strategy: Strategy) -> None:
    rng = np.random.default_rng(3)
    sent = {hospital: rng.normal(size=3) for hospital in "abcde"}
    equal = _round(strategy, {hospital: (values, 1) for hospital, values in sent.items()})
    unequal = _round(strategy, {hospital: (values, 10**index) for index, (hospital, values) in enumerate(sent.items())})
    assert np.array_equal(equal, unequal)


@EACH
def test_a_hospital_counts_once(strategy: Strategy, model: Model) -> None:
    aggregation = strategy.begin(model(0), {})
    aggregation.add(Update("a", model(1), 10))
    with pytest.raises(InvalidInput, match="two updates of a"):
        aggregation.add(Update("a", model(2), 10))


@EACH
def test_the_order_of_answers_does_not_change_a_bit(strategy: Strategy) -> None:
    rng = np.random.default_rng(4)
    sent = {hospital: (rng.normal(size=3), 1) for hospital in "abcdefg"}
    backwards = dict(reversed(sent.items()))
    assert _round(strategy, sent).tobytes() == _round(strategy, backwards).tobytes()


def test_krum_takes_one_update_whole(model: Model, aggregate: Aggregate) -> None:
    updates = {hospital: model(index) for index, hospital in enumerate("abcde", start=1)}
    after, _ = aggregate(Krum(1), model(0), updates)
    chosen = [u for u in updates.values() if np.array_equal(u["0.weight"], after["0.weight"])]
    assert len(chosen) == 1
    assert all(np.array_equal(chosen[0][name], array) for name, array in after.items())


def test_krum_measures_weights_and_not_counts_of_batches(aggregate: Aggregate) -> None:
    """A hospital with many more batches is no outlier, and one with the usual number and wild weights is."""
    near = {f"h{i}": {"w": np.full(2, 0.01 * i), "n": np.asarray(1000 * i)} for i in range(4)}
    wild = {"w": np.full(2, 50.0), "n": np.asarray(1500)}
    after, _ = aggregate(Krum(1), {"w": np.zeros(2), "n": np.asarray(0)}, {**near, "h4": wild})
    assert after["w"].max() < 0.1


def test_multi_krum_is_the_mean_of_the_best() -> None:
    sent = {h: (np.full(3, value), 1) for h, value in zip("abcde", (1.0, 1.1, 1.25, 1.5, 90.0), strict=True)}
    assert _round(Krum(1), sent) == pytest.approx([1.1] * 3)
    assert _round(MultiKrum(1), sent) == pytest.approx([1.05] * 3)
    with pytest.raises(RoundFailed, match="MultiKrum needs the updates of 6 hospitals; there are 5"):
        _round(MultiKrum(1, keep=3), sent)


@pytest.mark.parametrize(
    ("strategy", "needed"),
    [
        (Median(), 3),
        (TrimmedMean(0.2), 5),
        (TrimmedMean(0.34), 3),
        (TrimmedMean(0.1), 10),
        (Krum(0), 3),
        (Krum(2), 7),
        (MultiKrum(1), 5),
        (MultiKrum(1, keep=4), 7),
    ],
)
def test_how_many_hospitals_a_round_needs(strategy: Strategy, needed: int) -> None:
    assert strategy.min_updates == needed


@pytest.mark.parametrize(("share", "hospitals", "cut"), [(0.2, 5, 1), (0.29, 100, 29), (0.3, 10, 3), (0.49, 100, 49)])
def test_the_share_that_is_trimmed(share: float, hospitals: int, cut: int) -> None:
    values = np.arange(hospitals, dtype=float) ** 2
    mean = _round(TrimmedMean(share), {f"{i:03d}": (np.full(3, value), 1) for i, value in enumerate(values)})
    assert mean == pytest.approx([values[cut : hospitals - cut].mean()] * 3)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: TrimmedMean(0.5), "share must be above 0 and below 0.5"),
        (lambda: TrimmedMean(0.0), "share must be above 0"),
        (lambda: TrimmedMean(float("nan")), "share must be above 0"),
        (lambda: Krum(-1), "Krum: byzantine must be a whole number, 0 or more"),
        (lambda: Krum(0.5), "Krum: byzantine must be a whole number"),  # type: ignore[arg-type]
        (lambda: MultiKrum(-1), "MultiKrum: byzantine"),
        (lambda: MultiKrum(1, keep=0), "MultiKrum: keep must be a whole number, at least 1"),
    ],
)
def test_bad_settings_are_told_at_once(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        make()
