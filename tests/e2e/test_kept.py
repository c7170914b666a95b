"""SCAFFOLD at real hospitals: what it keeps there survives `kill -9` of an agent, and goes when the study ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import researcher as wr
from researcher.rehearsal import rehearse
from tests.support.drift import CONFIG, STUDY, run
from tests.support.federation import PATIENCE, POLICY, Hospital, World, same_bits, wait_for
from tests.support.studies import modules_of


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("kept"))
    policy = tmp_path_factory.mktemp("policy") / "keeps.toml"
    text = POLICY.read_text().replace(
        'imports = ["numpy", "time"]', 'imports = ["numpy", "time", "torch", "collections", "typing"]'
    )
    policy.write_text(text.replace("megabytes_per_round = 256", "megabytes_per_round = 256\nkept_megabytes = 0.001"))
    for hospital in world.hospitals:
        hospital.datasite.set_policy("stays", policy)
    try:
        yield world.open()
    finally:
        world.close()


def submitted(ward: World, rounds: int, **config: float) -> wr.Submission:
    study = ward.study(rounds, code=STUDY, config={**CONFIG, **config})
    submission = ward.researcher.submit(study, rehearse(study, ward.researcher.datasets("stays")))
    for hospital in ward.hospitals:
        hospital.approve(submission)
    submission.wait(timeout=PATIENCE)
    return submission


def files(hospital: Hospital, study: wr.Submission) -> list[Path]:
    return sorted((hospital.folder(study) / "kept").glob("*"))


@pytest.mark.slow
def test_an_agent_killed_in_a_round_and_between_rounds_changes_not_a_bit(ward: World, background) -> None:
    north, south = ward.hospitals
    study = submitted(ward, rounds=3, pause=1.0)
    rounds = wr.Rounds(study, wr.Scaffold(hospitals=2), deadline=PATIENCE)
    rounds.run(rounds=1)
    assert [path.name for path in files(north, study)] == ["000001.safetensors"]
    running = background(rounds.run, 1)
    wait_for(lambda: "fit 3" in north.study_log(study), "the second round to run")  # message 2 was an evaluation
    north.kill()
    north.start()
    running.result(PATIENCE)
    north.kill()
    north.start()
    result = rounds.run()
    with modules_of(STUDY) as modules:
        tables = [hospital.table for hospital in (north, south)]
        unbroken = run(modules.study, tables, [(0, 1)] * 3, wr.Scaffold(hospitals=2))
    assert same_bits(result.parameters, unbroken[-1])
    assert north.study_log(study).count("fit 3") == 2


@pytest.mark.slow
def test_a_revocation_removes_what_the_study_kept(ward: World) -> None:
    north, south = ward.hospitals
    study = submitted(ward, rounds=3)
    rounds = wr.Rounds(study, wr.Scaffold(hospitals=2), min_hospitals=1)
    rounds.run(rounds=1)
    assert files(north, study)
    north.datasite.revoke(study.manifest.job_name, reason="Stop.")
    wait_for(lambda: not files(north, study), "what it kept to be removed")
    assert files(south, study)
    north.datasite.approve(study.manifest.job_name)
    told = lambda: study.status().set_index("hospital")["decision"]["north"]  # noqa: E731
    wait_for(lambda: told() == "approved", "the second approval", pause=0.5)
    result = rounds.run(rounds=1)  # what is gone is not begun anew without a word
    problems = result.hospitals.set_index("hospital")["problem"]
    assert "kept at this hospital between rounds is there no more" in " ".join(problems["north"].dropna())
    assert set(problems["south"].dropna()) <= {""}
