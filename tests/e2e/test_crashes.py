"""Ends of an agent that are no accident of timing; `tests/crash` kills at random points and at every line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest

import researcher as wr
from tests.support.federation import PATIENCE, Hospital, World, expected_state, same_bits, wait_for


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world of few studies: its agents are back quickly."""
    world = World(tmp_path_factory.mktemp("crashes"))
    try:
        yield world.open()
    finally:
        world.close()


def fits(hospital: Hospital, study: wr.Submission) -> Counter[int]:
    """How often each round was trained, finished or not."""
    return Counter(int(n) for n in re.findall(r"^fit (\d+)$", hospital.study_log(study), re.MULTILINE))


@pytest.mark.slow
def test_a_round_that_a_stopping_agent_cut_off_is_run_after_the_restart(ward: World, background) -> None:
    study = ward.approved(rounds=1, config={"pause": 1.5})
    north = ward.hospitals[0]
    running = background(wr.Rounds(study, deadline=PATIENCE).run)
    wait_for(lambda: fits(north, study), "the round to run")
    north.stop()
    assert north.datasite.state.answers(study.digest) == []
    wait_for(lambda: not north.workers(study), "the worker to end")
    north.start()
    result = running.result(PATIENCE)
    assert same_bits(result.parameters, expected_state([h.table for h in ward.hospitals], [1]))
    assert fits(north, study) == {1: 2}


@pytest.mark.slow
def test_a_workers_process_ends_with_its_agent(ward: World) -> None:
    study = ward.approved(rounds=2)
    wr.Rounds(study).run(rounds=1)
    north = ward.hospitals[0]
    assert north.workers(study)
    north.kill()
    wait_for(lambda: not north.workers(study), "the worker to end")
    north.start()


@pytest.mark.slow
def test_a_revocation_while_the_agent_is_dead_still_removes_the_tables_view(ward: World, background) -> None:
    north = ward.hospitals[0]
    study = ward.approved(rounds=1, config={"acts": {"1": {"act": "sleep"}}, "seconds": 600})
    running = background(wr.Rounds(study, min_hospitals=1, deadline=PATIENCE).run)
    wait_for(lambda: "fit 1" in north.study_log(study), "the round to run")
    north.kill()
    assert (north.folder(study) / "table.parquet").exists()
    north.datasite.revoke(study.manifest.job_name, reason="Stop.")
    north.start()
    wait_for(lambda: not (north.folder(study) / "table.parquet").exists(), "the table's view to be removed")
    result = running.result(PATIENCE)
    assert "revoked" in " ".join(result.hospitals["problem"])
    assert fits(north, study) == {1: 1}
