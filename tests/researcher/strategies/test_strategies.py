"""What holds for every strategy."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from datasites.wire.arrays import Arrays
from policies.errors import InvalidInput
from researcher.errors import RoundFailed
from researcher.journal import Checkpoint, Journal
from researcher.strategies import FedAdam, FedAvg, FedAvgM, FedYogi, Krum, Strategy, TrimmedMean, Update
from researcher.strategies.base import described, identity

Model = Callable[[int], Arrays]
Aggregate = Callable[..., tuple[Arrays, Arrays]]
HOSPITALS = ["a", "b", "c", "d", "e"]
BUFFERS = ["1.running_mean", "1.running_var", "1.num_batches_tracked", "on"]


def _updates(model: Model, seed: int) -> dict[str, Arrays]:
    return {hospital: model(seed * 100 + index) for index, hospital in enumerate(HOSPITALS)}


def _bits(arrays: Arrays) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    return {name: (a.dtype.name, a.shape, a.tobytes()) for name, a in arrays.items()}


def test_names_shapes_and_dtypes_are_those_of_the_state(strategy: Strategy, model: Model, aggregate: Aggregate) -> None:
    after, _ = aggregate(strategy, model(0), _updates(model, 1))
    assert {n: (type(a), a.shape, a.dtype) for n, a in after.items()} == {
        n: (type(a), a.shape, a.dtype) for n, a in model(0).items()
    }


def test_nothing_given_is_changed(strategy: Strategy, model: Model, aggregate: Aggregate) -> None:
    _, memory = aggregate(strategy, model(0), _updates(model, 1))
    current, updates, kept = model(0), _updates(model, 1), _bits(memory)
    aggregate(strategy, current, updates, memory)
    assert _bits(current) == _bits(model(0))
    assert [_bits(u) for u in updates.values()] == [_bits(u) for u in _updates(model, 1).values()]
    assert _bits(memory) == kept


def test_the_order_of_answers_does_not_matter(strategy: Strategy, model: Model, aggregate: Aggregate) -> None:
    updates = _updates(model, 1)
    expected, _ = aggregate(strategy, model(0), updates)
    for order in list(permutations(HOSPITALS))[::17]:
        after, _ = aggregate(strategy, model(0), {hospital: updates[hospital] for hospital in order})
        for name, array in expected.items():
            np.testing.assert_allclose(after[name], array, rtol=1e-5, atol=1e-7)


def test_agreement_of_all_is_no_step_away(strategy: Strategy, model: Model, aggregate: Aggregate) -> None:
    after, _ = aggregate(strategy, model(0), dict.fromkeys(HOSPITALS, model(0)))
    assert _bits(after) == _bits(model(0))


def test_buffers_are_never_stepped_beyond_what_hospitals_sent(
    strategy: Strategy, model: Model, aggregate: Aggregate
) -> None:
    """A negative running variance would make every later output NaN."""
    state, memory = model(0), {}
    for number in range(1, 6):
        updates = _updates(model, number)
        state, memory = aggregate(strategy, state, updates, memory)
        for name in BUFFERS:
            sent = np.stack([update[name] for update in updates.values()])
            assert (state[name] >= sent.min(axis=0)).all()
            assert (state[name] <= sent.max(axis=0)).all()


def test_three_rounds_and_three_after_a_restart_are_six(
    strategy: Strategy, model: Model, aggregate: Aggregate, tmp_path: Path
) -> None:
    straight, memory = model(0), {}
    for number in range(1, 7):
        straight, memory = aggregate(strategy, straight, _updates(model, number), memory)
    Journal(tmp_path).start(model(0))
    for number in range(1, 7):
        journal = Journal(tmp_path)  # as after a restart: nothing but the files is left
        at = journal.checkpoint()
        after = aggregate(strategy, at.parameters, _updates(model, number), at.memory)
        journal.close_round(Checkpoint(number, number, False, after[0], identity(strategy), after[1]), [])
    at = Journal(tmp_path).checkpoint()
    assert (_bits(at.parameters), _bits(at.memory)) == (_bits(straight), _bits(memory))
    assert at.strategy == identity(strategy)


@pytest.mark.parametrize(
    "change",
    [{"scale": np.zeros(1)}, {"0.bias": np.zeros(1)}, {"extra": np.zeros(1)}, {"0.weight": np.zeros((3, 5))}],
)
def test_an_update_that_does_not_fit_is_refused_whole(
    strategy: Strategy, model: Model, aggregate: Aggregate, change: Arrays
) -> None:
    updates = _updates(model, 1)
    aggregation = strategy.begin(model(0), {})
    for hospital, parameters in updates.items():
        aggregation.add(Update(hospital, parameters, 10))
        with pytest.raises(InvalidInput, match="update of z"):
            aggregation.add(Update("z", {**parameters, **change}, 10))
    assert _bits(aggregation.result()[0]) == _bits(aggregate(strategy, model(0), updates)[0])


def test_too_few_updates_fail_the_round(strategy: Strategy, model: Model, aggregate: Aggregate) -> None:
    enough = {hospital: model(1) for hospital in HOSPITALS[: strategy.min_updates]}
    assert aggregate(strategy, model(0), enough)
    with pytest.raises(RoundFailed):
        aggregate(strategy, model(0), dict(list(enough.items())[1:]))


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_a_state_that_is_no_number_fails_the_round(dtype: type[np.floating], aggregate: Aggregate) -> None:
    """As it comes of a step that is too long; hospitals' own updates are finite, or they are not let in."""
    most = np.finfo(dtype).max
    with pytest.raises(RoundFailed, match="too large to be a number in w"):
        aggregate(FedAvgM(10.0), {"w": np.zeros(2, dtype)}, {"a": {"w": np.array([most, -most])}})


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: FedAvgM(learning_rate=0), "FedAvgM: learning_rate must be a number above 0"),
        (lambda: FedAdam(learning_rate=float("nan")), "FedAdam: learning_rate must be a number above 0"),
        (lambda: FedAvgM(momentum=1.0), "FedAvgM: momentum must be at least 0 and below 1"),
        (lambda: FedYogi(beta_2=-0.1), "FedYogi: beta_2 must be at least 0"),
        (lambda: FedAdam(tau=0), "FedAdam: tau must be a number above 0"),
        (lambda: identity(FedAvgM(learning_rate=np.float32(0.5))), "learning_rate must be a number of Python's own"),
    ],
)
def test_bad_settings_are_told_at_once(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        make()


def test_an_identity_is_name_and_settings() -> None:
    assert identity(FedAvgM(1, 0.5)) == identity(FedAvgM(1.0, 0.5)) != identity(FedAvgM(1.0, 0.6))
    assert len({described(identity(s)) for s in (FedAvg(), FedAvgM(), Krum(1), Krum(2), TrimmedMean(0.3))}) == 5
    assert described(identity(FedAvgM())) == "FedAvgM(learning_rate=1.0, momentum=0.9)"
