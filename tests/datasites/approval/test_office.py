"""Decisions on submissions as they lie in Syft's tree; the tree is Syft's own, written by its client."""

from __future__ import annotations

from datetime import timedelta

import pytest

from datasites.approval.submissions import BadSubmission, read_submission
from datasites.datasite import Datasite
from datasites.state import now
from datasites.wire.identity import Identity
from datasites.wire.manifest import MANIFEST_FILE, SIGNATURE_FILE, Manifest
from policies.errors import InvalidInput, Refused
from tests.support.federation import STUDY
from tests.support.submissions import deliver, manifest


def approve(site: Datasite, asked: Manifest, **limits: object) -> None:
    site.office.approve(asked.job_name, **{"expires_at": now() + timedelta(days=1), **limits})  # type: ignore[arg-type]


def test_an_approval_keeps_the_bytes_and_is_signed(site: Datasite, ada: Identity) -> None:
    asked = manifest()
    deliver(site, asked, ada)
    assert [s.digest for s in site.office.pending()] == [asked.digest]
    approve(site, asked, rounds=2, reason="For the audit.")
    signed = site.state.decision(asked.digest)
    assert signed
    assert signed.verified(site.identity.public)
    assert (signed.decision.verdict, signed.decision.rounds) == ("approved", 2)
    assert signed.decision.least_patients == site.policy(asked.dataset).data.min_patients  # and not how many there are
    assert (site.office.vault.code(asked.digest) / "study.py").read_bytes() == (STUDY / "study.py").read_bytes()
    assert site.office.pending() == []


def test_syfts_state_and_the_researchers_copy_follow_at_the_agents_look(site: Datasite, ada: Identity) -> None:
    asked = manifest()
    folder = deliver(site, asked, ada)
    approve(site, asked)
    review = site.home.syftbox / "do@north.org" / "app_data" / "job" / "review"
    assert not list(review.rglob("decision.json"))  # a command beside the agent leaves Syft's tree alone
    assert site.office.follow(site.office.find("demo")) is True
    assert site.office.follow(site.office.find("demo")) is False
    assert site.office.find("demo").job.status == "approved"
    copy = next(review.rglob("decision.json"))
    copy.write_bytes(copy.read_bytes()[:20])  # a crash in the middle of writing
    assert site.office.follow(site.office.find("demo")) is True
    site.office.revoke("demo", reason="Enough.")
    site.office.follow(site.office.find("demo"))
    job = site.office.find("demo").job
    assert (job.status, job.review_reason) == ("rejected", "revoked: Enough.")
    assert folder.is_dir()


@pytest.mark.parametrize("rounds", [0, -1, 4])
def test_more_rounds_than_asked_for_make_no_sense(site: Datasite, ada: Identity, rounds: int) -> None:
    asked = manifest()
    deliver(site, asked, ada)
    with pytest.raises(InvalidInput, match="asks for 3 rounds"):
        approve(site, asked, rounds=rounds)
    assert site.state.decision(asked.digest) is None


def test_decisions_that_make_no_sense(site: Datasite, ada: Identity) -> None:
    asked = manifest()
    deliver(site, asked, ada)
    with pytest.raises(InvalidInput, match="expired already"):
        approve(site, asked, expires_at=now())
    with pytest.raises(InvalidInput, match="not approved"):
        site.office.revoke("demo", reason="x")
    with pytest.raises(InvalidInput, match="There is no study 'other'"):
        site.office.deny("other", reason="x")
    with pytest.raises(InvalidInput, match="The reason has 2,001 characters"):
        site.office.deny("demo", reason="x" * 2001)
    approve(site, asked)
    with pytest.raises(InvalidInput, match="This study is approved"):
        site.office.deny("demo", reason="x")
    assert [s.decision.verdict for s in site.state.decisions(asked.digest)] == ["approved"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"columns": ("days", "income")}, "columns that the table does not have: income"),
        ({"dictionary": "0" * 64}, "another version of the table's dictionary"),
        ({"dataset": "births"}, "No table 'births' is published here"),
    ],
)
def test_a_study_that_cannot_run_here_cannot_be_approved(
    site: Datasite, ada: Identity, change: dict[str, object], why: str
) -> None:
    asked = manifest().model_copy(update=change)
    deliver(site, asked, ada)
    with pytest.raises(Refused, match=why):
        approve(site, asked)
    assert any(why in problem for problem in site.packet("demo").problems)
    assert site.state.decision(asked.digest) is None
    assert list(site.home.approved.iterdir()) == []


def test_the_patient_key_cannot_be_asked_for(site: Datasite, ada: Identity) -> None:
    asked = manifest().model_copy(update={"columns": ("days", "patient_id")})
    deliver(site, asked, ada)
    with pytest.raises(Refused, match="does not have: patient_id"):
        approve(site, asked)


def test_two_studies_of_one_name_must_be_told_apart(site: Datasite, ada: Identity) -> None:
    first, second = manifest(), manifest(config={"rate": 0.1})
    for asked in (first, second):
        deliver(site, asked, ada)
    with pytest.raises(InvalidInput, match="stands for several studies"):
        site.office.find("demo")
    assert site.office.find(second.digest[:8]).digest == second.digest
    assert site.office.find(first.job_name).digest == first.digest
    with pytest.raises(InvalidInput, match="There is no study"):
        site.office.find(first.digest[:7])


@pytest.mark.parametrize(
    ("extra", "why"),
    [
        ({"study.py": b"evil"}, "study.py has other bytes"),
        ({"more.py": b""}, "more.py is not named"),
        ({MANIFEST_FILE: b"{}"}, "manifest is not valid"),
        ({SIGNATURE_FILE: b"AAAA"}, "not signed by the researcher"),
    ],
)
def test_what_is_not_what_the_researcher_signed_is_no_study(
    site: Datasite, ada: Identity, extra: dict[str, bytes], why: str
) -> None:
    deliver(site, manifest(), ada, **extra)
    (bad,) = site.office.received()
    assert isinstance(bad, BadSubmission)
    assert why in bad.why
    site.office.reject_bad(bad)
    (again,) = site.office.received()
    assert again.job.status == "rejected"


def test_a_name_that_is_not_the_studys_is_refused(site: Datasite, ada: Identity) -> None:
    folder = deliver(site, manifest(), ada)
    submission = site.office.find("demo")

    class Renamed:
        name, submitted_by, code_dir = "other-000000000000", submission.job.submitted_by, folder / "code"

    bad = read_submission(Renamed(), site.office.peers)
    assert isinstance(bad, BadSubmission)
    assert "another name" in bad.why
