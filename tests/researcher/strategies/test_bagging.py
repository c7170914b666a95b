from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from datasites.wire.arrays import Arrays
from policies.errors import InvalidInput
from researcher.errors import RoundFailed
from researcher.strategies import Bagging, Update
from tests.support.federation import same_bits

PLACES = 6


def ensemble(trees: int = 1, places: int = PLACES) -> Arrays:
    """The first `trees` places are taken: the values of a tree tell which it is."""
    taken = np.arange(places) < trees
    number = np.where(taken, 1 + np.arange(places), 0)
    return {
        "trees": np.asarray(trees),
        "feature": np.repeat(number[:, None], 3, 1).astype(np.int16),
        "value": np.repeat(number[:, None], 4, 1).astype(np.float32),
        "share": taken.astype(np.float32),
    }


def grown(current: Arrays, *values: int) -> Arrays:
    """What a hospital returns that grew trees of these values."""
    after, taken = {name: array.copy() for name, array in current.items()}, int(current["trees"])
    for place, value in enumerate(values, taken):
        after["feature"][place] = after["value"][place] = value
        after["share"][place] = 1
    after["trees"] = np.asarray(taken + len(values))
    return after


def test_all_new_trees_are_in_and_count_by_examples() -> None:
    current = ensemble()
    updates = [Update("south", grown(current, 30), 100), Update("north", grown(current, 10, 20), 300)]
    for order in permutations(updates):
        aggregation = Bagging().begin(current, {})
        for update in order:
            aggregation.add(update)
        after, memory = aggregation.result()
        assert int(after["trees"]) == 4
        assert after["value"][:, 0].tolist() == [1, 10, 20, 30, 0, 0]
        assert after["feature"][:, 2].tolist() == [1, 10, 20, 30, 0, 0]
        assert after["share"].tolist() == [1, 0.75, 0.75, 0.25, 0, 0]
        assert memory == {}
        assert {n: (a.shape, a.dtype) for n, a in after.items()} == {n: (a.shape, a.dtype) for n, a in current.items()}
    assert same_bits(current, ensemble())


def test_a_hospital_cannot_touch_the_others_trees() -> None:
    current = ensemble(2)
    touched = grown(current, 9)
    touched["value"][0, 1] = 1.5
    with pytest.raises(InvalidInput, match="south changed trees"):
        Bagging().begin(current, {}).add(Update("south", touched, 5))


@pytest.mark.parametrize("trees", [0, 2, 7, -1])
def test_a_count_that_cannot_be_is_refused(trees: int) -> None:
    came = {**ensemble(2), "trees": np.asarray(trees)}
    with pytest.raises(InvalidInput, match=f"south says that the ensemble has {trees} trees"):
        Bagging().begin(ensemble(2), {}).add(Update("south", came, 5))


def test_other_shapes_and_second_updates_are_refused() -> None:
    aggregation = Bagging().begin(ensemble(), {})
    with pytest.raises(InvalidInput, match="does not fit"):
        aggregation.add(Update("south", ensemble(2, PLACES + 1), 5))
    aggregation.add(Update("south", grown(ensemble(), 3), 5))
    with pytest.raises(InvalidInput, match="two updates"):
        aggregation.add(Update("south", grown(ensemble(), 3), 5))


def test_a_full_ensemble_is_told() -> None:
    current = ensemble(5)
    aggregation = Bagging().begin(current, {})
    for hospital in ("north", "south"):
        aggregation.add(Update(hospital, grown(current, 3), 5))
    with pytest.raises(RoundFailed, match="no place") as told:
        aggregation.result()
    assert "more places" in str(told.value)
    with pytest.raises(RoundFailed, match="no update"):
        Bagging().begin(current, {}).result()


@pytest.mark.parametrize("state", [{"w": np.zeros(2)}, {**ensemble(), "value": np.zeros((2, 4))}])
def test_a_model_that_is_no_ensemble_is_refused(state: Arrays) -> None:
    with pytest.raises(InvalidInput, match="no ensemble"):
        Bagging().begin(state, {})
