"""What goes wrong at one hospital, or with one answer, and what the others and the researcher are told."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import researcher as wr
from datasites.wire import keys, quarantine
from datasites.wire.reasons import Reason
from policies.errors import WardroundError
from tests.support.federation import (
    PATIENCE,
    WARDROUND,
    World,
    expected_state,
    load_study,
    next_state,
    same_bits,
    wait_for,
)


def problems(result: wr.Result, hospital: str) -> list[str]:
    table = result.hospitals
    return [p for p in table[table["hospital"] == hospital]["problem"] if p]


def acting(act: str, rounds: list[int], site: str = "2") -> dict[str, object]:
    return {"acts": {site: {"act": act, "rounds": rounds}}}


def test_an_exceptions_text_never_leaves_the_hospital(world: World) -> None:
    north, south = world.hospitals
    study = world.approved(rounds=2, config=acting("raise", [1]))
    result = wr.Rounds(study, min_hospitals=1).run()
    assert problems(result, "south") == [Reason.CODE_ERROR.text]
    secret = load_study().leak(south.table)
    log = south.study_log(study)
    assert secret in log
    assert "Traceback" in log
    assert b"leak-{" in everything_readable(world)  # the search does find what is there
    assert secret.encode() not in everything_readable(world)
    assert secret not in south.log.read_text()
    after_first = expected_state([north.table], [1])
    assert not same_bits(result.parameters, after_first)  # both took part in round 2


@pytest.mark.parametrize("act", ["shape", "metric"])
def test_an_output_outside_the_contract_stays(world: World, act: str) -> None:
    north, _ = world.hospitals
    study = world.approved(rounds=1, config=acting(act, [1]))
    result = wr.Rounds(study, min_hospitals=1).run()
    assert problems(result, "south") == [Reason.CONTRACT.text]
    assert same_bits(result.parameters, expected_state([north.table], [1]))


def test_nan_stays(world: World) -> None:
    north, _ = world.hospitals
    study = world.approved(rounds=1, config=acting("nan", [1]))
    result = wr.Rounds(study, min_hospitals=1).run()
    assert problems(result, "south") == [Reason.BAD_OUTPUT.text]
    assert same_bits(result.parameters, expected_state([north.table], [1]))


def test_code_that_takes_too_long_is_stopped(world: World) -> None:
    study = world.approved(rounds=1, seconds_per_round=1, config={**acting("sleep", [1]), "seconds": 600})
    result = wr.Rounds(study, min_hospitals=1).run()
    assert problems(result, "south") == [Reason.TIMEOUT.text]


def test_a_round_with_too_few_answers_keeps_the_state_and_the_study_goes_on(world: World) -> None:
    study = world.approved(rounds=3, config=acting("raise", [2]))
    rounds = wr.Rounds(study)
    with pytest.raises(wr.RoundFailed, match=f"had 1 usable answers. south: {Reason.CODE_ERROR.text}"):
        rounds.run()
    tables = [h.table for h in world.hospitals]
    assert same_bits(study.journal.checkpoint().parameters, expected_state(tables, [1]))
    result = rounds.run(rounds=1)
    assert same_bits(result.parameters, expected_state(tables, [1, 3]))
    assert result.rounds["round"].tolist() == [0, 1, 2]


def test_training_that_changes_nothing_is_no_result(world: World) -> None:
    study = world.approved(rounds=2, config={"acts": {site: {"act": "unchanged"} for site in ("1", "2")}})
    with pytest.raises(wr.StudyFailed, match="Training changed nothing"):
        wr.Rounds(study).run()


def test_a_table_that_is_away_fails_the_round_and_not_the_study(world: World) -> None:
    _, south = world.hospitals
    study = world.approved(rounds=2)
    moved = south.source.with_suffix(".away")
    south.source.rename(moved)
    try:
        result = wr.Rounds(study, min_hospitals=1).run(rounds=1)
    finally:
        moved.rename(south.source)
    assert set(problems(result, "south")) == {Reason.TABLE.text}
    wr.Rounds(study).run(rounds=1)
    assert "fit" in south.study_log(study)


def test_a_disk_that_refuses_to_write_fails_the_round_and_not_the_agent(world: World) -> None:
    _, south = world.hospitals
    study = world.approved(rounds=2)
    obstacle = south.home.study(study.digest) / "table.draft"
    obstacle.mkdir()
    result = wr.Rounds(study, min_hospitals=1, deadline=PATIENCE).run(rounds=1)
    assert set(problems(result, "south")) == {Reason.HOSPITAL.text}
    shutil.rmtree(obstacle)
    assert wr.Rounds(study).run(rounds=1).round == 2


@pytest.mark.slow
def test_a_hospital_that_is_offline_misses_a_round_and_takes_part_again(world: World) -> None:
    north, south = world.hospitals
    study = world.approved(rounds=3)
    wr.Rounds(study, deadline=PATIENCE).run(rounds=1)
    south.kill()
    missed = wr.Rounds(study, min_hospitals=1, deadline=8, evaluate=False).run(rounds=1)  # in which north must answer
    assert problems(missed, "south") == ["No answer within 8 seconds."]
    number = study.journal.checkpoint().messages
    assert not world.researcher.store.exists(keys.round_down(study.digest, south.email, number))  # withdrawn
    south.start()
    south.wait_until_serving()
    result = wr.Rounds(study).run()
    assert result.round == 3
    assert f"fit {number}" not in south.study_log(study)
    assert f"fit {number + 1}" in south.study_log(study)
    assert f"fit {number}" in north.study_log(study)


@pytest.mark.slow
def test_a_late_answer_changes_nothing(world: World) -> None:
    north, south = world.hospitals
    study = world.approved(rounds=3, config={**acting("sleep", [2]), "seconds": 14})
    tables = [h.table for h in world.hospitals]
    wr.Rounds(study, evaluate=False).run(rounds=1)  # so that no worker has to be started within the deadline
    result = wr.Rounds(study, min_hospitals=1, deadline=10, evaluate=False).run(rounds=1)
    assert problems(result, "south") == ["No answer within 10 seconds."]
    state = next_state(expected_state(tables, [1]), [north.table], 2)
    assert same_bits(result.parameters, state)
    wait_for(lambda: south.datasite.state.last_round(study.digest) == 2, "the late answer")
    result = wr.Rounds(study, evaluate=False).run()
    assert same_bits(result.parameters, next_state(state, tables, 3))


def test_a_second_notebook_on_the_same_study_is_refused(world: World, background) -> None:
    study = world.approved(rounds=1, config={"pause": 3})
    running = background(wr.Rounds(study).run)
    wait_for(lambda: "fit 1" in world.hospitals[0].study_log(study), "the round to run")
    with pytest.raises(wr.InvalidInput, match="running in another notebook"):
        wr.Rounds(world.researcher.submission(study.manifest.name)).run()
    assert running.result(PATIENCE).round == 1


def test_two_agents_on_one_home_are_refused(world: World) -> None:
    home = str(world.hospitals[0].home.path)
    done = subprocess.run([*WARDROUND, "serve", "--home", home], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 3
    assert done.stderr.startswith("Error: An agent is serving")
    assert "Traceback" not in done.stderr
    assert world.hospitals[0].home.heartbeat.exists()


def test_nothing_that_these_tests_did_was_quarantined_or_upset_an_agent(world: World) -> None:
    """Honest traffic, with crashes, withdrawals and revocations, never looks like an attack."""
    assert not any("Traceback" in h.log.read_text() for h in world.hospitals)
    assert [note for h in world.hospitals for note in quarantine.notes(h.home.quarantine)] == []


def everything_readable(world: World) -> bytes:
    """All that the researcher's machine and the store hold, and what the researcher can decrypt of it."""
    places = [world.root / "ada", Path(world.store.removeprefix("file://"))]
    contents = [path.read_bytes() for place in places for path in sorted(place.rglob("*")) if path.is_file()]
    opened = []
    for data in contents:
        for hospital in world.hospitals:
            try:
                opened.append(world.researcher.identity.open(hospital.datasite.identity.public, data))
            except WardroundError:
                continue
    assert opened
    return b"\0".join(contents + opened)
