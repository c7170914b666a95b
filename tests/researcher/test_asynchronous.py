"""FedBuff on simulated hospitals, whose clocks are exact."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import researcher as wr
from datasites.wire.dictionary import Dictionary
from datasites.wire.reasons import Reason
from researcher.buffer import Step, difference
from researcher.exchange import Answer
from tests.support.federation import DICTIONARY, STUDY, load_study, same_bits, stays

TABLES = {name: stays(site, 20 * site + 10) for site, name in enumerate(("east", "north", "south"), 1)}
SPEED = {"east": 2.0, "north": 3.1, "south": 7.3}


def simulation(rounds: int = 20, config: dict[str, Any] | None = None, **options: Any) -> wr.Simulation:
    study = wr.Study("counting", "Test", STUDY, "stays", rounds, config or {})
    options.setdefault("delay", lambda hospital, number: SPEED[hospital])
    return wr.Simulation(study, TABLES, Dictionary.load(DICTIONARY), processes=1, **options)


def fedbuff(buffer: int, updates: int, rate: float, discount: Callable[[int], float]) -> dict[str, Any]:
    """Algorithm 1 of the paper, with updates weighted by examples; message numbers as the study's code sees them."""
    module = load_study()
    states = [module.initialize({})]
    number, pending, held = 1, [], []
    for name in sorted(TABLES):
        heapq.heappush(pending, (SPEED[name], name, 0, number))
    while len(states) <= updates:
        time, name, version, sent = heapq.heappop(pending)
        trained, examples, _ = module.fit(states[version], TABLES[name], {"round": sent})
        weight = examples * discount(len(states) - 1 - version)
        starts = {"w": states[-1]["w"], "b": states[version]["b"]}  # w holds whole numbers: a buffer of the model
        held.append((examples, {k: weight * (trained[k] - starts[k].astype(float)) for k in trained}))
        if len(held) == buffer:
            total = sum(n for n, _ in held)
            moved = {k: states[-1][k] + rate * sum(delta[k] for _, delta in held) / total for k in states[-1]}
            states.append({"w": np.rint(moved["w"]).astype(np.int64), "b": np.asarray(moved["b"])})
            held = []
        number += 1
        heapq.heappush(pending, (time + SPEED[name], name, len(states) - 1, number))
    return states[-1]


@pytest.mark.parametrize(("buffer", "rate"), [(1, 1.0), (2, 0.5), (3, 1.0)])
def test_the_state_moves_as_the_papers_algorithm_moves_it(buffer: int, rate: float) -> None:
    with simulation() as simulated:
        result = wr.AsyncRounds(simulated, buffer, rate, evaluate=False).run(updates=5)
    expected = fedbuff(buffer, 5, rate, lambda staleness: 1 / math.sqrt(1 + staleness))
    assert result.round == 5
    assert result.parameters["w"].tolist() == expected["w"].tolist()
    assert np.isclose(result.parameters["b"], expected["b"], rtol=1e-12)


def test_stale_updates_leave_a_variance_within_what_hospitals_measured() -> None:
    name = "1.running_var"
    first, trained = {name: np.full(4, 1.0, np.float32)}, {name: np.full(4, 0.1, np.float32)}
    state = first
    for _ in range(5):  # all five hospitals had begun with the first state
        step = Step(1, 0).with_update(difference(trained, first, state), 100, 1.0)
        state = step.applied(state, 1.5)
        assert 0.1 <= state[name].min() <= 1.0


def test_a_hospital_that_never_answers_blocks_nobody() -> None:
    with simulation(delay=lambda hospital, number: math.inf if hospital == "south" else 1.0) as simulated:
        result = wr.AsyncRounds(simulated, buffer=3, deadline=50, evaluate=False).run(updates=4)
    assert result.round == 4
    assert set(result.hospitals["hospital"]) == {"east", "north"}


def test_updates_that_come_late_are_marked_by_their_staleness() -> None:
    with simulation() as simulated:
        result = wr.AsyncRounds(simulated, buffer=1).run(updates=6)
    rows = result.hospitals.dropna(subset=["staleness"])
    assert rows.groupby("hospital")["staleness"].max()["south"] == 5  # from version 0; the others moved it meanwhile
    assert result.strategy == "FedBuff"
    assert result.rounds["hospitals"].iloc[-1] == 3  # the last state is evaluated by all
    assert result.rounds["round"].iloc[-1] == 6


def test_no_hospital_is_asked_for_more_rounds_than_it_has_approved() -> None:
    with simulation(rounds=2) as simulated:
        result = wr.AsyncRounds(simulated, buffer=4, evaluate=False).run(updates=50)
    trained = Counter(result.hospitals.dropna(subset=["train_examples"])["hospital"])
    assert trained == {"east": 2, "north": 2, "south": 2}
    assert result.round == 2  # four updates, and the two that were left


def first_in_first_out(hospital: str, number: int) -> float:
    """So that a clock that starts anew after an interruption changes no order."""
    return float(number)


@pytest.mark.parametrize("interrupted", [2, 4, 7])
def test_a_study_that_was_stopped_goes_on_with_buffer_and_messages(interrupted: int) -> None:
    with simulation(delay=first_in_first_out) as simulated:
        whole = wr.AsyncRounds(simulated, buffer=2, evaluate=False).run(updates=4)

    stops = [interrupted]

    def stop(number: int, sent: dict[str, Any], answers: dict[str, Answer]) -> dict[str, Answer]:
        if number in stops:
            stops.remove(number)
            raise KeyboardInterrupt
        return answers

    with simulation(delay=first_in_first_out, tamper=stop) as simulated:
        with pytest.raises(KeyboardInterrupt):
            wr.AsyncRounds(simulated, buffer=2, evaluate=False).run(updates=4)
        done = simulated.journal.checkpoint().round
        result = wr.AsyncRounds(simulated, buffer=2, evaluate=False).run(updates=4 - done)
    assert same_bits(whole.parameters, result.parameters)
    assert whole.hospitals.equals(result.hospitals)


def test_a_hospital_joins_with_the_current_state_and_another_leaves() -> None:
    def revoked(number: int, sent: dict[str, Any], answers: dict[str, Answer]) -> dict[str, Answer]:
        if "east" not in answers or number < 4:
            return answers
        reply = answers["east"].reply
        assert reply
        return {**answers, "east": Answer("east", reply.model_copy(update={"reason": Reason.REVOKED, "fit": None}))}

    with simulation(joins={"south": 3}, tamper=revoked) as simulated:
        result = wr.AsyncRounds(simulated, buffer=1, evaluate=False).run(updates=8)
    rows = result.hospitals
    south = rows[rows["hospital"] == "south"]
    assert south["round"].iloc[0] > 0
    assert south["problem"].tolist() == [""] * len(south)
    east = rows[rows["hospital"] == "east"]["problem"].tolist()
    assert east[-1] == Reason.REVOKED.text
    assert east.count(Reason.REVOKED.text) == 1


def test_a_hospital_whose_code_fails_is_asked_again_only_when_the_state_has_moved() -> None:
    with simulation(config={"acts": {"1": {"act": "raise"}}}) as simulated:
        result = wr.AsyncRounds(simulated, buffer=2, evaluate=False).run(updates=3)
    east = result.hospitals[result.hospitals["hospital"] == "east"]
    assert east["problem"].unique().tolist() == [Reason.CODE_ERROR.text]
    assert east["round"].is_unique


def test_a_study_that_fails_everywhere_fails() -> None:
    config = {"acts": {str(site): {"act": "raise", "rounds": list(range(2, 90))} for site in (1, 2, 3)}}
    with simulation(config=config) as simulated, pytest.raises(wr.RoundFailed, match="Every hospital that is left"):
        wr.AsyncRounds(simulated, buffer=2, evaluate=False).run()


def test_rounds_of_the_other_kind_can_follow() -> None:
    with simulation(rounds=6) as simulated:
        first = wr.AsyncRounds(simulated, buffer=2).run(updates=2)
        second = wr.Rounds(simulated).run(rounds=1)
        third = wr.AsyncRounds(simulated, buffer=2).run(updates=1)
    assert [first.round, second.round, third.round] == [2, 3, 4]
    assert third.hospitals["problem"].unique().tolist() == [""]
