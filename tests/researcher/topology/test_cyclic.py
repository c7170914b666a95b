from __future__ import annotations

from typing import Any

import pytest

import researcher as wr
from datasites.wire.arrays import Arrays
from researcher.exchange import Answer
from tests.researcher.topology.conftest import TABLES, Simulated
from tests.support.federation import load_study, next_state, same_bits


def handed_on(state: Arrays, turns: list[tuple[str, int]]) -> Arrays:
    """The model after these hospitals trained it, one after another, in messages of these numbers."""
    for name, number in turns:
        state = next_state(state, [TABLES[name]], number)
    return state


def initial() -> Arrays:
    state: Arrays = load_study().initialize({})
    return state


def turns(result: wr.Result) -> list[str]:
    rows = result.hospitals.dropna(subset=["train_examples"])
    return rows["hospital"].tolist()


def test_the_model_goes_from_hospital_to_hospital_in_the_order_given(counting: Simulated) -> None:
    order = ["west", "east", "south", "north"]
    with counting(2) as simulated:
        result = wr.Cyclic(simulated, order, evaluate=False).run()
    assert turns(result) == order * 2
    assert same_bits(result.parameters, handed_on(initial(), [(n, i) for i, n in enumerate(order * 2, 1)]))


def test_all_hospitals_evaluate_the_same_model_between_cycles(counting: Simulated) -> None:
    with counting(2) as simulated:
        result = wr.Cyclic(simulated, seed=4).run()
    assert result.rounds["round"].tolist() == [0, 1, 2]
    assert result.rounds["hospitals"].tolist() == [4, 4, 4]  # as many evaluations as two rounds have been approved for
    assert sorted(turns(result)[:4]) == sorted(turns(result)[4:]) == sorted(TABLES)


def test_an_order_drawn_by_a_seed_is_the_same_again_and_another_in_the_next_cycle(counting: Simulated) -> None:
    def run(seed: int) -> list[str]:
        with counting(4) as simulated:
            return turns(wr.Cyclic(simulated, seed=seed, evaluate=False).run())

    first = run(1)
    assert first == run(1)
    assert first != run(2)
    assert len({tuple(first[i : i + 4]) for i in range(0, 16, 4)}) > 1


def test_a_cycle_that_was_stopped_in_the_middle_goes_on_with_the_next_hospital(counting: Simulated) -> None:
    stops = [8]  # the second turn of the second cycle

    def stop(number: int, sent: Arrays, answers: dict[str, Answer]) -> dict[str, Answer]:
        if number in stops:
            stops.remove(number)
            raise KeyboardInterrupt
        return answers

    with counting(2) as simulated:
        whole = wr.Cyclic(simulated, seed=3).run()
    with counting(2, tamper=stop) as simulated:
        with pytest.raises(KeyboardInterrupt):
            wr.Cyclic(simulated, seed=3).run()
        assert simulated.journal.checkpoint().messages == 7
        with pytest.raises(wr.RoundFailed, match="A cycle is under way"):
            wr.Cyclic(simulated, seed=3).run(rounds=0)
        with pytest.raises(wr.InvalidInput, match=r"begun with Cyclic\(seed=3\)"):
            wr.Cyclic(simulated, seed=4).run()
        resumed = wr.Cyclic(simulated, seed=3).run()
    assert turns(resumed) == turns(whole)
    assert same_bits(resumed.parameters, whole.parameters)


def test_a_hospital_that_does_not_answer_is_passed_over(counting: Simulated) -> None:
    order = ["east", "north", "south", "west"]
    late = lambda hospital, number: 25.0 if (hospital, number) == ("north", 2) else 1.0  # noqa: E731
    with counting(1, delay=late) as simulated:
        result = wr.Cyclic(simulated, order, deadline=10, evaluate=False).run()
    assert turns(result) == ["east", "south", "west"]
    assert same_bits(result.parameters, handed_on(initial(), [("east", 1), ("south", 3), ("west", 4)]))
    assert result.hospitals["problem"].tolist() == ["", "No answer within 10 seconds.", "", ""]


def test_a_cycle_with_too_few_turns_is_kept_and_gone_on_with(counting: Simulated) -> None:
    order = ["east", "north", "south", "west"]
    late: Any = lambda hospital, number: 25.0 if number in (2, 3) else 1.0  # noqa: E731
    with counting(1, delay=late) as simulated:
        with pytest.raises(wr.RoundFailed, match=r"2 hospitals had their turn.*north: No answer within 10 seconds"):
            wr.Cyclic(simulated, order, min_hospitals=3, deadline=10, evaluate=False).run()
        result = wr.Cyclic(simulated, order, min_hospitals=3, deadline=10, evaluate=False).run()
    assert turns(result) == ["east", "west", "north", "south"]
    assert result.round == 1


@pytest.mark.parametrize(
    ("order", "why"),
    [(["east", "east"], "east stands twice"), (["east", "west"], "north, south approved the study, and is not in the")],
)
def test_an_order_that_is_none_is_refused(counting: Simulated, order: list[str], why: str) -> None:
    with counting() as simulated, pytest.raises(wr.InvalidInput, match=why):
        wr.Cyclic(simulated, order).run()
