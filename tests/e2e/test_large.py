"""A model of several parts, between real hospitals and their researcher."""

from __future__ import annotations

from pathlib import Path

import pytest

import researcher as wr
from datasites.wire import chunked, keys
from datasites.wire.dictionary import Dictionary
from datasites.wire.parts import folder
from researcher.rehearsal import rehearse
from tests.support.federation import DICTIONARY, PATIENCE, World, same_bits

CODE = """
import numpy as np

def initialize(config):
    return {"w": np.linspace(-1, 1, 1_500_000, dtype=np.float32)}

def fit(parameters, table, config):
    return {"w": parameters["w"] * np.float32(0.9) + np.float32(table["days"].mean())}, len(table), {}

def evaluate(parameters, table, config):
    return len(table), {}
"""


@pytest.mark.slow
def test_a_large_model_travels_in_parts_and_is_to_the_bit_what_its_simulation_says(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "study.py").write_text(CODE)
    study = world.study(2, code=tmp_path)
    submission = world.researcher.submit(study, rehearse(study, world.researcher.datasets("stays")[:1]))
    for hospital in world.hospitals:
        hospital.wait_for_submission(submission)
        hospital.approve(submission)
    submission.wait(timeout=PATIENCE)
    result = wr.Rounds(submission, evaluate=False, deadline=PATIENCE).run()
    tables = {h.label: h.table for h in world.hospitals}
    simulated = wr.simulate(study, tables, Dictionary.load(DICTIONARY), processes=1)
    assert same_bits(result.parameters, simulated.parameters)

    store, digest = world.researcher.store, submission.digest
    for hospital in world.hospitals:
        answer = store.get(keys.round_up(digest, 2, hospital.email)) or b""
        assert chunked.Message.parse(answer) is not None
        assert len(store.names(folder(keys.round_up(digest, 2, hospital.email)))) == 3  # 6 MB
        assert store.names(folder(keys.rounds_down(digest, hospital.email))) == []  # withdrawn with the message
