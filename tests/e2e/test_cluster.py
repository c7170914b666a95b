"""A study of two processes, at a hospital where it is a Slurm job and at one where it runs beside the agent."""

from __future__ import annotations

from pathlib import Path

import pytest

import researcher as wr
from datasites.runner.sandbox import bubblewrap
from datasites.settings import FILE
from datasites.wire.reasons import Reason
from tests.support.federation import PATIENCE, POLICY, World, expected_state, same_bits, wait_for
from tests.support.slurm import StandIn


@pytest.mark.slow
def test_a_study_runs_in_a_job_and_a_full_cluster_refuses_its_round(tmp_path: Path, monkeypatch) -> None:
    if why := bubblewrap.problem():
        pytest.skip(why)
    cluster = StandIn(tmp_path, monkeypatch)
    world = World(tmp_path)
    north, _ = world.hospitals
    settings = north.home.path / FILE
    # a table of TOML goes on until the next: ours come last, and `executor` first
    slurm = f'[slurm]\nshared = "{cluster.shared}"\npartition = "ward"\nqueue_seconds = 300\n'
    settings.write_text('executor = "slurm"\n' + settings.read_text() + slurm)
    policy = tmp_path / "policy.toml"
    policy.write_text(
        POLICY.read_text().replace("megabytes_per_round = 256", "megabytes_per_round = 256\nprocesses = 2")
    )
    for hospital in world.hospitals:
        hospital.datasite.set_policy("stays", policy)
    try:
        world.open()
        study = world.approved(rounds=3, processes=2)
        first = wr.Rounds(study, deadline=PATIENCE).run(rounds=1)
        assert same_bits(first.parameters, expected_state([h.table for h in world.hospitals], [1]))
        assert len(cluster.jobs) == 1
        assert {f"--job-name={cluster.jobs[0]}", "--cpus-per-task=2"} <= set(cluster.asked)
        (cluster.state / "jobs" / cluster.jobs[0]).unlink()  # the cluster takes the job back, between rounds
        cluster.refuse("Requested node configuration is not available")
        wait_for(lambda: "CANCELLED BY CANCEL" in north.log.read_text(), "the end of the job")
        second = wr.Rounds(study, min_hospitals=1, deadline=PATIENCE).run(rounds=1)
        told = second.hospitals[second.hospitals["hospital"] == "north"]["problem"]
        assert {problem for problem in told if problem} == {Reason.NOT_STARTED.text}
        wait_for(lambda: "Requested node configuration is not available" in north.log.read_text(), "the owner's log")
        (cluster.state / "refuse").unlink()
        assert wr.Rounds(study, deadline=PATIENCE).run().round == 3
    finally:
        world.close()
    assert not cluster.jobs
    assert not list(cluster.shared.iterdir())
