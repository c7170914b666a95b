"""Models that travel compressed, both ways, between real hospitals and their researcher."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import researcher as wr
from datasites.wire import keys
from datasites.wire.dictionary import Dictionary
from researcher.rehearsal import rehearse
from tests.support.federation import DICTIONARY, PATIENCE, POLICY, World, same_bits

CODE = """
import numpy as np

def initialize(config):
    return {"w": np.linspace(-1, 1, 20_000, dtype=np.float32), "n": np.zeros((), np.int64)}

def fit(parameters, table, config):
    pull = np.random.default_rng(int(table["days"].sum())).normal(size=20_000).astype(np.float32)
    return {"w": parameters["w"] + (pull - parameters["w"]) / 4, "n": parameters["n"] + 1}, len(table), {}

def evaluate(parameters, table, config):
    return len(table), {}
"""


@pytest.fixture
def keeps(world: World, tmp_path: Path) -> Iterator[World]:
    """Hospitals whose policy lets compression keep what it leaves out."""
    policy = tmp_path / "keeps.toml"
    policy.write_text(
        POLICY.read_text().replace("megabytes_per_round = 256", "megabytes_per_round = 256\nkept_megabytes = 1")
    )
    for hospital in world.hospitals:
        hospital.datasite.set_policy("stays", policy)
    yield world
    for hospital in world.hospitals:
        hospital.datasite.set_policy("stays", POLICY)


@pytest.mark.slow
def test_a_compressed_study_is_to_the_bit_what_its_simulation_says_and_its_messages_are_small(
    keeps: World, tmp_path: Path
) -> None:
    (tmp_path / "study.py").write_text(CODE)
    up, down = "delta+feedback+topk(0.05)+int8+zstd", "int8+zstd"
    study = keeps.study(3, code=tmp_path, compression=up, state_compression=down)
    submission = keeps.researcher.submit(study, rehearse(study, keeps.researcher.datasets("stays")[:1]))
    for hospital in keeps.hospitals:
        hospital.wait_for_submission(submission)
    packet = keeps.hospitals[0].datasite.packet(submission.manifest.job_name)
    assert (
        "What compression leaves out of a model stays at this hospital (20,000 numbers, 80,000 bytes)" in packet.summary
    )
    assert "only the 5% largest numbers of each array; of these each number rounded to 8 bits" in packet.html()
    for hospital in keeps.hospitals:
        hospital.approve(submission)
    submission.wait(timeout=PATIENCE)
    result = wr.Rounds(submission, evaluate=False, deadline=PATIENCE).run()

    store, digest = keeps.researcher.store, submission.digest
    sizes = [len(store.get(keys.round_up(digest, 3, h.email)) or b"") for h in keeps.hospitals]
    assert 1000 < min(sizes) <= max(sizes) < 80_000 / 10  # of which 4,000 are the envelope
    tables = {h.label: h.table for h in keeps.hospitals}
    simulated = wr.simulate(study, tables, Dictionary.load(DICTIONARY), processes=1)
    assert same_bits(result.parameters, simulated.parameters)
    assert np.count_nonzero(result.parameters["w"] != np.linspace(-1, 1, 20_000, dtype=np.float32)) > 3000
