"""Decisions on submissions as they lie in Syft's tree; the tree is Syft's own, written by its client."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import researcher as wr
from datasites.approval.submissions import BadSubmission, read_submission
from datasites.catalog.registry import RegisteredTable, Registry
from datasites.catalog.tables import TableSource
from datasites.datasite import Datasite
from datasites.state import now
from datasites.wire.dictionary import Dictionary
from datasites.wire.identity import Identity
from datasites.wire.manifest import MANIFEST_FILE, SIGNATURE_FILE, ArraySpec, Manifest, OutputContract, sign_manifest
from policies.errors import InvalidInput, Refused
from tests.support.federation import DICTIONARY, STUDY, stays


@pytest.fixture
def ada(tmp_path: Path) -> Identity:
    return Identity.create("ada@uni.org", tmp_path / "ada.json")


@pytest.fixture
def site(tmp_path: Path, ada: Identity) -> Iterator[Datasite]:
    """A datasite that knows Ada and has the table, without an agent."""
    datasite = Datasite.create(tmp_path / "north", "do@north.org", f"file://{tmp_path}/store")
    datasite.office.peers.update(ada.email, "accepted", ada.public.document)
    stays(1, 20).to_csv(tmp_path / "stays.csv", index=False)
    Registry(datasite.home.datasets).add(
        RegisteredTable(TableSource(path=tmp_path / "stays.csv"), Dictionary.load(DICTIONARY))
    )
    yield datasite
    datasite.state.close()


def manifest(**options: object) -> Manifest:
    dictionary = Dictionary.load(DICTIONARY)
    study = wr.Study("demo", "Test", STUDY, "stays", rounds=3, **options)  # type: ignore[arg-type]
    arrays = {"w": ArraySpec(shape=(4,), dtype="int64")}
    outputs = OutputContract(parameters=arrays, fit_metrics=(), evaluate_metrics=(), evaluate_arrays={})
    return study.manifest("ada@uni.org", dictionary, outputs)


def deliver(site: Datasite, asked: Manifest, ada: Identity, **extra: bytes) -> Path:
    """Puts a study where Syft's sync puts it, by Syft's own client on the researcher's side of a tree."""
    from syft_job import SyftJobConfig
    from syft_job.client import JobClient

    package = site.home.path / f"package-{len(list(site.home.path.glob('package-*')))}"
    files = {path: (STUDY / path).read_bytes() for path in asked.files}
    files |= {MANIFEST_FILE: asked.canonical(), SIGNATURE_FILE: sign_manifest(asked, ada).encode()}
    for path, data in {**files, **extra}.items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_bytes(data)
    config = SyftJobConfig(syftbox_folder=site.home.syftbox, current_user_email="ada@uni.org", has_do_role=False)
    client = JobClient.from_config(config)
    with warnings.catch_warnings(action="ignore"):  # it has not met this datasite's Syft version
        folder = client.submit_python_job("do@north.org", str(package), job_name=asked.job_name, entrypoint="study.py")
    return Path(folder)


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
