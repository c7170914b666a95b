"""Synthetic patients from real agents: marginals that are approved, charged and released once."""

from __future__ import annotations

import dp_accounting
import numpy as np
import pytest

import researcher as wr
from policies.privacy.accounting import epsilon
from tests.support.federation import Hospital, World

DELTA = 1e-6


def charged(hospital: Hospital, submission: wr.Submission) -> float:
    return epsilon(hospital.datasite.state.ledger.spent("stays", study=submission.digest), DELTA)


@pytest.mark.slow
def test_an_anchor_from_the_request_to_synthetic_patients(world: World) -> None:
    ada = world.researcher
    asked = wr.PrivateMarginals(
        "anchor", "Test", "stays", ["days", "readmitted"], noise_multiplier=8.0, delta=DELTA, bins=3
    )
    rehearsal = ada.rehearse(asked)
    assert "Counts of cells and of pairs of cells" in rehearsal._repr_html_()
    submission = ada.submit(asked, rehearsal)
    for hospital in world.hospitals:
        hospital.wait_for_submission(submission)
        packet = hospital.datasite.packet(submission.manifest.job_name)
        assert packet.problems == []
        assert "1 pair of them" in packet.summary
        assert f"epsilon {asked.cost().epsilon:.3g}" in packet.summary
        hospital.approve(submission)
    submission.wait(timeout=60)

    with pytest.raises(wr.InvalidInput, match=r"Use anchor"):
        wr.collect(submission)
    dictionary = ada.datasets("stays")[0].dictionary
    anchor = wr.anchor(submission, dictionary, deadline=60)
    price = dp_accounting.get_epsilon_gaussian(8.0, DELTA)
    for hospital in world.hospitals:
        row = anchor.rows[hospital.email]
        patients = hospital.table["patient_id"].nunique()
        assert 0 < abs(row[:3].sum() - patients) < 6 * anchor.asked.deviation * 3**0.5
        assert charged(hospital, submission) == pytest.approx(price, rel=1e-3)
        assert "Traceback" not in hospital.study_log(submission)
    again = wr.anchor(submission, dictionary, deadline=60)  # the answers that were given, at no further cost
    assert all(np.array_equal(again.rows[email], row) for email, row in anchor.rows.items())
    assert [charged(h, submission) for h in world.hospitals] == [pytest.approx(price, rel=1e-3)] * 2
    synthetic = anchor.sample(50)
    assert synthetic.columns.tolist() == ["patient_id", "site", "days", "readmitted"]
    assert synthetic["days"].between(1, 90).all()
