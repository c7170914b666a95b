"""A regional aggregator in a process of its own, over hospitals with real agents, killed in the middle of a study."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import researcher as wr
from tests.support.federation import PATIENCE, World, expected_state, same_bits

SERVE = """
import sys
import researcher as wr
file, email, home, study, nation, fingerprint = sys.argv[1:]
submission = wr.connect(file, email, home=home).submission(study)
aggregator = wr.RegionalAggregator.of(submission, nation, fingerprint)
print("ready", flush=True)
aggregator.serve()
"""


@pytest.mark.slow
def test_a_nation_trains_through_an_aggregator_that_is_killed_and_comes_back(world: World, tmp_path: Path) -> None:
    study, region = world.approved(rounds=3), world.researcher
    file, name = tmp_path / "study.safetensors", "ada@nation.org"
    wr.RegionalAggregator.write_study(study, name, file)
    regions = {"region": (region.email, region.fingerprint)}
    nation = wr.Nation(file, name, world.store, regions, home=tmp_path / "nation")
    told = [str(world.file), region.email, str(region.home.path), study.digest, name, nation.fingerprint]

    def serve() -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", SERVE, *told], stdout=subprocess.PIPE)
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        return process

    rounds = wr.Rounds(nation, deadline=2 * PATIENCE)
    process = serve()
    try:
        rounds.run(rounds=1)
        process.kill()
        process.communicate()
        process = serve()
        result = rounds.run()
    finally:
        process.kill()
        process.communicate()
    # an evaluation after the first round was a message of its own
    assert same_bits(result.parameters, expected_state([h.table for h in world.hospitals], [1, 3, 4]))
    assert set(result.hospitals["hospital"]) == {"region"}
    assert result.hospitals["train_examples"].dropna().unique().tolist() == [sum(len(h.table) for h in world.hospitals)]
    assert [h.datasite.state.used(study.digest)[0] for h in world.hospitals] == [3, 3]
