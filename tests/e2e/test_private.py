"""A study of the private tier over real agents: no code, a ledger that is charged, noise that differs by hospital."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from torch import nn

import researcher as wr
from policies.errors import Refused
from policies.privacy.accounting import epsilon
from tests.support.federation import Hospital, World

DELTA = 1e-6


def study(name: str, **changes: object) -> wr.PrivateStudy:
    fields: dict[str, object] = {
        "name": name,
        "purpose": "Test",
        "dataset": "stays",
        "model": nn.Linear(1, 1),
        "inputs": ["days"],
        "target": "readmitted",
        "rounds": 2,
        "steps": 3,
        "sampling_rate": 0.5,
        "expected_lot": 5.0,
        "optimizer": wr.Optimizer(learning_rate=0.1),
        "noise_multiplier": 6.0,
        "evaluation_noise": 8.0,
        "delta": DELTA,
    }
    return wr.PrivateStudy(**{**fields, **changes})  # type: ignore[arg-type]


def charged(hospital: Hospital, submission: wr.Submission) -> float:
    return epsilon(hospital.datasite.state.ledger.spent("stays", study=submission.digest), DELTA)


@pytest.mark.slow
def test_a_private_study_from_model_to_scores(world: World) -> None:
    asked = study("private-study")
    rehearsal = world.researcher.rehearse(asked)
    assert f"epsilon {asked.cost().epsilon:.3g} at delta 1e-06" in rehearsal._repr_html_()
    submission = world.researcher.submit(asked, rehearsal)
    for hospital in world.hospitals:
        hospital.wait_for_submission(submission)
        packet = hospital.datasite.packet(submission.manifest.job_name)
        assert packet.problems == []
        assert packet.code() == {}
        assert f"epsilon {asked.cost().epsilon:.3g}" in packet.summary
        hospital.approve(submission)
    submission.wait(timeout=60)

    result = wr.Rounds(submission).run()
    assert not any(result.hospitals["problem"])
    assert set(result.hospitals["seconds"]) == {0.0}  # what it took would tell how many patients there are
    assert not np.array_equal(result.parameters["weight"], asked.initial["weight"])
    scores = wr.PrivateScores.of(result)
    assert scores.counts.shape == (2, 32)
    assert 0 <= scores.tested().low <= scores.tested().value < scores.tested().high
    for hospital in world.hospitals:
        assert charged(hospital, submission) == pytest.approx(asked.cost().epsilon)
        assert "Traceback" not in hospital.study_log(submission)

    # every event of the plan is spent: another evaluation of the last state is refused, and costs nothing
    journal = submission.journal
    journal.close_round(dataclasses.replace(journal.checkpoint(), evaluated=False), [])
    with pytest.raises(wr.RoundFailed, match="privacy budget"):
        wr.Rounds(submission).run()
    assert [charged(h, submission) for h in world.hospitals] == [pytest.approx(asked.cost().epsilon)] * 2


@pytest.mark.slow
def test_a_study_beyond_the_budget_is_not_approved(world: World) -> None:
    asked = study("too-much", noise_multiplier=0.3)
    submission = world.researcher.submit(asked, world.researcher.rehearse(asked))
    for hospital in world.hospitals:
        with pytest.raises(Refused, match=r"would use epsilon \d+(\.\d)? at delta 1e-06; 3 is allowed a study"):
            hospital.approve(submission)
    assert [charged(h, submission) for h in world.hospitals] == [0.0, 0.0]


@pytest.mark.slow
def test_counts_and_means_from_the_request_to_weights(world: World) -> None:
    asked = wr.PrivateStatistics("who", "Test", "stays", ["days", "readmitted"], noise_multiplier=8.0, delta=DELTA)
    rehearsal = world.researcher.rehearse(asked)
    assert "Counts and means" in rehearsal._repr_html_()
    submission = world.researcher.submit(asked, rehearsal)
    for hospital in world.hospitals:
        hospital.wait_for_submission(submission)
        packet = hospital.datasite.packet(submission.manifest.job_name)
        assert packet.problems == []
        assert "how many patients" in packet.summary
        assert f"epsilon {asked.cost().epsilon:.3g}" in packet.summary
        assert "a model" not in packet.summary
        hospital.approve(submission)
    submission.wait(timeout=60)

    with pytest.raises(wr.InvalidInput, match="no rounds"):
        wr.Rounds(submission)
    counts = wr.collect(submission, deadline=60)
    assert set(counts.rows) == {hospital.email for hospital in world.hospitals}
    for hospital in world.hospitals:
        patients = hospital.table["patient_id"].nunique()
        first = float(counts.rows[hospital.email][0])
        assert 0 < abs(first - patients) < 6 * counts.statistics.deviation
        assert charged(hospital, submission) == pytest.approx(asked.cost().epsilon)
        assert "Traceback" not in hospital.study_log(submission)
    assert wr.FedAvg(weights=counts.weights()).begin({}, {})
    again = wr.collect(submission, deadline=60)  # the answers that were given, at no further cost
    assert {h: row.tolist() for h, row in again.rows.items()} == {h: row.tolist() for h, row in counts.rows.items()}
    assert [charged(h, submission) for h in world.hospitals] == [pytest.approx(asked.cost().epsilon)] * 2
