"""Running what no data owner of this hospital has approved, or no longer, or not so often."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

import researcher as wr
from datasites.audit.entry import Kind
from datasites.state import now
from datasites.wire.decision import FILE, Decision, SignedDecision
from datasites.wire.identity import Identity
from datasites.wire.reasons import Reason
from tests.attacks.system.hostile import study as hostile
from tests.attacks.system.ward import Ward
from tests.support.federation import wait_for

OUTSIDE = "has a path outside the sender's own inbox"


def approval(study: wr.Submission, by: Identity, **changed: Any) -> SignedDecision:
    """A decision that `by` signs, and that is changed afterwards."""
    made = Decision(
        study=study.digest,
        hospital=by.email,
        number=1,
        verdict="approved",
        rounds=5,
        expires_at=now() + timedelta(days=1),
        decided_at=now(),
    )
    signed = SignedDecision.sign(made, by)
    return signed.model_copy(update={"decision": made.model_copy(update=changed)})


def waiting(ward: Ward) -> wr.Submission:
    study = ward.submit(ward.mallory)
    ward.north.wait_for_submission(study)
    return study


@pytest.fixture(scope="module")
def undecided(_ward_of_module: Ward) -> wr.Submission:
    return waiting(_ward_of_module)


@pytest.fixture(scope="module")
def at_the_disk(_ward_of_module: Ward) -> wr.Submission:
    """Undecided too; its bytes are in the vault already, as somebody can put them there."""
    study, north = waiting(_ward_of_module), _ward_of_module.north.datasite
    submission = north.office.find(study.digest)
    north.office.vault.keep(submission.manifest, submission.signature, submission.files)
    return study


def never_runs(ward: Ward, study: wr.Submission) -> None:
    line = ward.line(study)
    line.put(1, line.sealed(line.request(1)))
    assert line.silence(1, 1.0)
    assert ward.runs(study) == 0


def test_asks_for_a_round_before_the_decision(ward: Ward) -> None:
    with ward.attack(Kind.STUDY_RECEIVED):
        never_runs(ward, waiting(ward))


def test_asks_for_a_round_after_a_denial(ward: Ward) -> None:
    with ward.attack(Kind.DECIDED, verdict="denied"):
        study = waiting(ward)
        ward.north.datasite.deny(study.manifest.job_name, reason="No.")
        never_runs(ward, study)


@pytest.mark.parametrize("folder", ["review", "inbox"])
def test_puts_a_forged_approval_beside_her_submission(ward: Ward, undecided: wr.Submission, folder: str) -> None:
    study = undecided
    with ward.attack(Kind.MESSAGE_QUARANTINED, peer=ward.mallory.email):
        document = json.dumps(approval(study, ward.mallory.identity).model_dump(mode="json"))
        path = f"app_data/job/{folder}/{ward.mallory.email}/v1/{study.manifest.job_name}/{FILE}"
        ward.propose(ward.mallory, {path: document})
        never_runs(ward, study)


def test_copies_the_approval_of_another_study(ward: Ward, undecided: wr.Submission) -> None:
    study = undecided
    with ward.attack(Kind.MESSAGE_QUARANTINED, aside=OUTSIDE):
        signed = ward.north.datasite.state.decision(ward.hostile.study.digest)
        path = f"app_data/job/review/{ward.mallory.email}/v1/{study.manifest.job_name}/{FILE}"
        ward.propose(ward.mallory, {path: json.dumps(signed.model_dump(mode="json")) if signed else ""})
        never_runs(ward, study)


def test_sends_a_data_base_with_her_approval(ward: Ward) -> None:
    with ward.attack(Kind.MESSAGE_QUARANTINED, aside=OUTSIDE):
        ward.propose(ward.mallory, {"../../state.db": "INSERT INTO decisions"})


INSERTED: dict[str, Callable[[Ward, wr.Submission], SignedDecision]] = {
    "signed by another hospital": lambda ward, study: approval(study, ward.south.datasite.identity),
    "signed by another hospital in this ones name": lambda ward, study: approval(
        study, ward.south.datasite.identity, hospital=ward.north.email
    ),
    "signed by the researcher": lambda ward, study: approval(study, ward.mallory.identity),
    "with more rounds than were signed": lambda ward, study: approval(study, ward.north.datasite.identity, rounds=99),
    "that lasts longer than was signed": lambda ward, study: approval(
        study, ward.north.datasite.identity, expires_at=now() + timedelta(days=900)
    ),
}


@pytest.mark.parametrize("forged", INSERTED, ids=[name.replace(" ", "-") for name in INSERTED])
def test_somebody_at_the_disk_inserts_an_approval(ward: Ward, at_the_disk: wr.Submission, forged: str) -> None:
    """Past the office and the audit log, straight into the data base."""
    study = at_the_disk
    with ward.attack(Kind.REFUSED, study=study.digest, reason="not_approved"):
        signed = INSERTED[forged](ward, study)
        with closing(sqlite3.connect(ward.north.home.state, timeout=30)) as db, db:
            row = (study.digest, signed.decision.number, signed.model_dump_json())
            db.execute("INSERT INTO decisions VALUES (?, ?, ?)", row)
        assert ward.line(study).ask().reason is Reason.NOT_APPROVED
        assert ward.runs(study) == 0
    with closing(sqlite3.connect(ward.north.home.state, timeout=30)) as db, db:
        db.execute("DELETE FROM decisions WHERE study = ?", (study.digest,))


def test_asks_again_after_a_revocation(ward: Ward) -> None:
    study = ward.approved(ward.mallory)
    line = ward.line(study)
    assert line.ask().reason is None
    ward.north.datasite.revoke(study.manifest.job_name, reason="Enough.")
    with ward.attack(Kind.REFUSED, study=study.digest, reason="revoked"):
        assert line.ask().reason is Reason.REVOKED
        assert line.ask(fit=False, evaluate=True).reason is Reason.REVOKED
        assert ward.runs(study) == 1
        wait_for(lambda: not (ward.north.folder(study) / "table.parquet").exists(), "the view of the table to go")


def test_asks_again_after_the_end(ward: Ward) -> None:
    study = waiting(ward)
    ward.north.approve(study, expires_at=now() + timedelta(seconds=3))
    line = ward.line(study)
    wait_for(lambda: now() >= ward.north.datasite.state.decision(study.digest).decision.expires_at, "the end")
    with ward.attack(Kind.REFUSED, study=study.digest, reason="expired"):
        assert line.ask().reason is Reason.EXPIRED
        assert ward.runs(study) == 0


def test_asks_for_more_than_was_approved(ward: Ward) -> None:
    """More rounds, evaluations without end, and rounds that only fail, each of which tells a little."""
    study = ward.submit(ward.mallory)
    ward.north.approve(study, rounds=1)
    line = ward.line(study)
    assert line.ask(evaluate=True).reason is None
    with ward.attack(Kind.REFUSED, study=study.digest, reason="rounds_used", charged=(0, 1)):
        assert line.ask().reason is Reason.ROUNDS_USED
        assert line.ask(evaluate=True).reason is Reason.ROUNDS_USED
        assert line.ask(fit=False, evaluate=True).reason is None  # of the last state, once
        for _ in range(3):
            assert line.ask(fit=False, evaluate=True).reason is Reason.ROUNDS_USED
        assert ward.runs(study) == 2


def test_fails_without_end(ward: Ward) -> None:
    """Whether a round fails, and how, can be made to depend on a patient: that is a bit or two for nothing."""
    study = ward.submit(ward.mallory)
    ward.north.approve(study, rounds=1)
    line, act = ward.line(study), hostile.number_of(hostile.names_a_metric_after_a_row)
    with ward.attack(Kind.REFUSED, study=study.digest, reason="rounds_used"):
        reasons = [line.act(act).reason for _ in range(13)]
        assert reasons == [Reason.CONTRACT] * 11 + [Reason.ROUNDS_USED] * 2
        assert ward.runs(study) == 11


def test_submits_another_study_under_an_approved_name(ward: Ward) -> None:
    with ward.attack(Kind.STUDY_RECEIVED):
        name = ward.hostile.study.manifest.name
        study = ward.submit(ward.mallory, name=name, rounds=9)
        ward.north.wait_for_submission(study)
        assert study.digest != ward.hostile.study.digest
        never_runs(ward, study)


def test_submits_anothers_approved_manifest(ward: Ward) -> None:
    """Byte for byte; but it is Ada's, and Mallory's signature is not hers."""
    manifest = ward.honest.study.manifest
    job = manifest.job_name
    with ward.attack(Kind.STUDY_REFUSED, peer=ward.mallory.email):
        code = {path: (ward.honest.study.folder / "code" / path).read_text() for path in manifest.files}
        extra = {"manifest.json": manifest.canonical().decode(), "manifest.sig": "A" * 86}
        ward.propose_job(ward.mallory, job, {**code, **extra})


def test_rewrites_the_terms_of_an_approved_manifest(ward: Ward) -> None:
    """Signed anew by herself: that is another study, with a digest that nobody approved."""
    manifest = ward.hostile.study.manifest.model_copy(update={"rounds": 99_999, "purpose": "Anything"})
    with ward.attack(Kind.STUDY_RECEIVED, study=manifest.digest):
        signature = ward.mallory.identity.sign("study-manifest", manifest.canonical())
        code = {path: (ward.hostile.study.folder / "code" / path).read_text() for path in manifest.files}
        extra = {"manifest.json": manifest.canonical().decode(), "manifest.sig": signature}
        ward.propose_job(ward.mallory, manifest.job_name, {**code, **extra})
