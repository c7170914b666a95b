from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import researcher as wr
from researcher.free_riders import Finding
from researcher.strategies import Update

Vector = NDArray[np.float64]
HOSPITALS, SIZE, ROUNDS = ("east", "north", "south", "west"), 200, 5


def watched(cheat: Callable[[int, dict[str, Vector], list[Vector]], Vector] | None, seed: int = 0) -> wr.Watch:
    """Rounds of hospitals that pull in a common direction and, each, in one of their own; west may cheat.

    cheat: of the round, the others' updates and the states so far.
    """
    rng = np.random.default_rng(seed)
    goal = rng.normal(size=SIZE)
    own = {h: goal + 0.7 * rng.normal(size=SIZE) for h in HOSPITALS}
    watch, state = wr.Watch(), {"w": np.zeros(SIZE), "seen": np.asarray(0)}
    states: list[Vector] = []
    for number in range(1, ROUNDS + 1):
        states.append(state["w"])
        honest = {h: 0.3 * (own[h] - state["w"]) + 0.1 * rng.normal(size=SIZE) for h in HOSPITALS}
        if cheat:
            honest["west"] = cheat(number, honest, states)
        watch.begin(state)
        for h, delta in honest.items():
            watch.see(Update(h, {"w": state["w"] + delta, "seen": np.asarray(number)}, 10))
        state = {"w": state["w"] + np.mean(list(honest.values()), axis=0), "seen": np.asarray(number)}
    return watch


def found(cheat: Any) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.kind, one.hospitals) for one in watched(cheat).findings()]


@pytest.mark.parametrize("seed", range(5))
def test_honest_hospitals_that_differ_are_not_accused(seed: int) -> None:
    assert watched(None, seed).findings() == []


def test_a_state_sent_back_is_found() -> None:
    assert found(lambda n, honest, states: 1e-6 * honest["west"]) == [("zero", ("west",))]


def test_noise_is_found_whatever_its_length() -> None:
    rng = np.random.default_rng(1)
    assert found(lambda n, honest, states: 0.2 * rng.normal(size=SIZE)) == [("noise", ("west",))]


def test_a_copy_names_both_because_either_may_have_copied() -> None:
    assert found(lambda n, honest, states: 1.001 * honest["east"]) == [("copied", ("east", "west"))]


def test_an_own_earlier_update_and_the_models_last_movement_are_stale() -> None:
    kept: list[Vector] = []

    def first_for_ever(number: int, honest: dict[str, Vector], states: list[Vector]) -> Vector:
        kept.append(honest["west"])
        return kept[0]

    def last_movement(number: int, honest: dict[str, Vector], states: list[Vector]) -> Vector:
        return states[-1] - states[-2] if number > 1 else honest["west"]

    assert found(first_for_ever) == [("stale", ("west",))]
    assert found(last_movement) == [("stale", ("west",))]


@pytest.mark.parametrize("factor", [10, 0.05, -10])
def test_scaled_updates_are_found(factor: float) -> None:
    assert found(lambda n, honest, states: factor * honest["west"]) == [("scaled", ("west",))]


def test_a_sign_in_one_round_of_many_is_no_finding() -> None:
    assert found(lambda n, honest, states: honest["west"] * (0 if n == 3 else 1)) == []


def test_two_hospitals_are_too_few_to_say_what_is_usual() -> None:
    watch = wr.Watch()
    watch.begin({"w": np.zeros(2)})
    for hospital in ("east", "west"):
        watch.see(Update(hospital, {"w": np.zeros(2)}, 1))
    assert watch.findings() == []


def test_the_record_can_be_shown_to_the_hospital() -> None:
    watch = watched(lambda n, honest, states: 0 * honest["west"])
    assert watch.findings() == [
        Finding("zero", ("west",), (1, 2, 3, 4, 5), "It sent back the model as it was, or nearly so: it did not train.")
    ]
    record = watch.record(str.title)
    assert record.to_dict("records") == [
        {
            "kind": "zero",
            "hospitals": "West",
            "rounds": (1, 2, 3, 4, 5),
            "reason": "It sent back the model as it was, or nearly so: it did not train.",
        }
    ]
    assert watched(None).record().empty
