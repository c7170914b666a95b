"""Who takes part in a round, and when it closes: on simulated hospitals, whose clocks are exact."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import researcher as wr
from datasites.wire.dictionary import Dictionary
from datasites.wire.reasons import Reason
from researcher.exchange import Answer
from tests.support.federation import DICTIONARY, STUDY, expected_state, next_state, same_bits, stays

TABLES = {name: stays(site, 20 * site + 10) for site, name in enumerate(("east", "north", "south", "west"), 1)}


def simulation(rounds: int = 3, **options: Any) -> wr.Simulation:
    study = wr.Study("counting", "Test", STUDY, "stays", rounds)
    return wr.Simulation(study, TABLES, Dictionary.load(DICTIONARY), processes=1, **options)


def without(*names: str) -> list[pd.DataFrame]:
    return [table for name, table in TABLES.items() if name not in names]


def trained(result: wr.Result) -> dict[str, list[str]]:
    """The hospitals whose training was used, for each evaluated round."""
    rows = result.hospitals.dropna(subset=["train_examples"])
    return {str(number): sorted(group["hospital"]) for number, group in rows.groupby("round")}


def test_a_round_closes_when_enough_answers_are_in() -> None:
    with simulation(2, delay=lambda hospital, number: 9.0 if hospital == "west" and number == 1 else 1.0) as simulated:
        with pytest.raises(wr.InvalidInput, match="the 3 answers that"):
            wr.Rounds(simulated, wr.Median(), enough=2)
        result = wr.Rounds(simulated, enough=3, evaluate=False).run(rounds=1)
        assert same_bits(result.parameters, expected_state(without("west"), [1]))
        problems = result.hospitals.set_index("hospital")["problem"]
        assert problems["west"] == "The round closed before it answered: 3 answers were enough."
        assert set(problems.drop("west")) == {""}


def test_a_straggler_is_left_behind_at_the_deadline_and_taken_again_when_it_is_back() -> None:
    with simulation(3, delay=lambda hospital, number: 25.0 if hospital == "west" and number == 1 else 1.0) as simulated:
        result = wr.Rounds(simulated, deadline=10, evaluate=False).run()
    state = expected_state(without("west"), [1, 2])  # in round 2 it is still at work on round 1
    assert same_bits(result.parameters, next_state(state, without(), 3))


def test_a_sample_of_hospitals_trains_and_all_evaluate_the_last_state() -> None:
    def run(seed: int) -> wr.Result:
        with simulation(3) as simulated:
            return wr.Rounds(simulated, sample=2, seed=seed).run()

    first, again, other = run(1), run(1), run(2)
    assert same_bits(first.parameters, again.parameters)
    assert trained(first) == trained(again)
    assert trained(first) != trained(other)
    assert {len(names) for names in trained(first).values()} == {2}
    assert first.rounds["hospitals"].tolist() == [2, 2, 2, 4]


def test_a_study_that_was_stopped_draws_the_same_hospitals_again() -> None:
    with simulation(4) as simulated:
        whole = wr.Rounds(simulated, sample=2, seed=3, evaluate=False).run()
    with simulation(4) as simulated:
        wr.Rounds(simulated, sample=2, seed=3, evaluate=False).run(rounds=2)
        resumed = wr.Rounds(simulated, sample=2, seed=3, evaluate=False).run()
    assert same_bits(whole.parameters, resumed.parameters)


def test_a_hospital_that_approves_late_trains_from_the_next_round_on_the_current_state() -> None:
    with simulation(3, joins={"west": 2}) as simulated:
        result = wr.Rounds(simulated, evaluate=False).run()
    state = expected_state(without("west"), [1])
    state = next_state(state, without(), 2)
    assert same_bits(result.parameters, next_state(state, without(), 3))


def test_a_hospital_that_leaves_for_good_is_not_asked_again() -> None:
    def revoked(number: int, sent: dict[str, Any], answers: dict[str, Answer]) -> dict[str, Answer]:
        west = answers.get("west")
        if number < 2 or west is None or west.reply is None:
            return answers
        reply = west.reply.model_copy(update={"reason": Reason.REVOKED, "fit": None, "evaluate": None})
        return {**answers, "west": Answer("west", reply)}

    with simulation(3, tamper=revoked) as simulated:
        result = wr.Rounds(simulated, evaluate=False).run()
    assert same_bits(result.parameters, _then(expected_state(without(), [1]), without("west"), [2, 3]))
    rows = result.hospitals
    assert rows[rows["hospital"] == "west"]["problem"].tolist() == ["", Reason.REVOKED.text]


@pytest.mark.parametrize("options", [{"enough": 0}, {"sample": 0}, {"min_hospitals": 3, "sample": 2}])
def test_what_could_not_work_is_refused(options: dict[str, int]) -> None:
    with simulation() as simulated, pytest.raises(wr.InvalidInput):
        wr.Rounds(simulated, **options)


def _then(state: dict[str, Any], tables: list[pd.DataFrame], messages: list[int]) -> dict[str, Any]:
    for number in messages:
        state = next_state(state, tables, number)
    return state
