"""What a report tells of a study, what it never tells, and that others can check it."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from datasites.audit.entry import Kind
from datasites.datasite import Datasite
from datasites.report.datasite import Period
from datasites.report.folder import report_datasite, report_study
from datasites.report.statements import ASKED, Statements, read_statements
from datasites.report.verify import verify_folder
from datasites.wire.canonical import sha256
from datasites.wire.identity import Identity
from policies.errors import InvalidInput
from tests.support.federation import POLICY
from tests.support.recorded import PLANTED, PURPOSE, answer, recorded
from tests.support.submissions import deliver, hospital, manifest

STUDY = manifest(purpose=PURPOSE)


def text_of(page: Path) -> str:
    """What a reader sees, in one line."""
    body = page.read_text().split("</style>", 1)[1]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_it_tells_what_happened(site: Datasite, report: Path) -> None:
    text = text_of(report / "report.html")
    released = [e for e in site.state.audit.entries() if e["kind"] == Kind.RELEASED]
    assert len(released) == 2
    (signed,) = site.state.decisions()
    for part in (
        PURPOSE, "ada@uni.org", STUDY.digest, "The board agreed", signed.signature, site.fingerprint,
        f"2 answers with results, {sum(e['bytes'] for e in released)} bytes", *(e["reply"] for e in released),
        "The study's code raised an error", "The result holds what the hospital's policy does not let out",
        "3 fit", "Length of stay.", "NOT STATED: to be said by the committee",
    ):  # fmt: skip
        assert part in text, part
    for file in STUDY.files.values():
        assert file.sha256 in text
    budget = site.budget("stays")
    assert f"this study {budget.studies[0].epsilon:.3g} " in text
    assert f"all studies of the table {budget.total.epsilon:.3g} " in text
    assert "All 12 checks held" in text


def test_nothing_of_a_patient_is_in_it(site: Datasite, report: Path, tmp_path: Path) -> None:
    """Not of the table, the log, its excerpts, results that were held back, or messages put aside; nor how many."""
    report_datasite(site, tmp_path / "all", Period(None, None))
    files = [path for folder in (report, tmp_path / "all") for path in folder.rglob("*") if path.is_file()]
    assert len(files) == 14
    for path in files:
        data = path.read_bytes()
        for planted in PLANTED:
            assert planted.encode() not in data, f"{planted} in {path.name}"
    for planted in PLANTED[:2]:  # they do lie at the hospital
        lie = [path for path in site.home.path.rglob("*") if path.is_file() and planted.encode() in path.read_bytes()]
        assert lie
    assert " 10 patients" not in text_of(report / "report.html")
    assert "at least 1, as the policy demanded" in text_of(report / "report.html")


def test_others_can_check_it(site: Datasite, report: Path) -> None:
    ada = site.office.peers.require("ada@uni.org").fingerprint
    found = verify_folder(report, fingerprint=site.fingerprint, researcher=ada)
    assert found.good, [one for one in found.findings if not one.good]
    assert not verify_folder(report, fingerprint=ada).good
    assert not verify_folder(report, fingerprint=site.fingerprint, researcher=site.fingerprint).good
    assert sha256((report / "study" / "manifest.json").read_bytes()) == STUDY.digest
    decided = next(e for e in site.state.audit.entries() if e["kind"] == Kind.DECIDED)
    assert sha256((report / "decisions" / "1.json").read_bytes()) == decided["document"]


def test_without_the_log_signatures_are_still_checked(site: Datasite, tmp_path: Path) -> None:
    report_study(site, "demo", tmp_path / "out", with_log=False)
    assert not (tmp_path / "out" / "audit.jsonl").exists()
    assert verify_folder(tmp_path / "out", fingerprint=site.fingerprint).good
    (tmp_path / "out" / "decisions" / "1.json").unlink()
    assert not verify_folder(tmp_path / "out").good


def test_what_people_state_is_told_as_theirs(report: Path) -> None:
    text = text_of(report / "report.html")
    assert "GDPR 6(1)(e), said by <b>Dr. Who</b>" in text
    assert "<b>" not in (report / "report.html").read_text()
    assert f"{len(ASKED) - 2} of {len(ASKED)} are not stated yet" in text
    form = text_of(report / "assessment.html")
    for part in (
        "GDPR 6(1)(e), said by",
        "TO BE WRITTEN BY the board",
        "164.312(b)",
        "35(7)(b)",
        STUDY.digest,
        PURPOSE,
    ):
        assert part in form
    for page in (text, form):
        assert not re.search(r"\b(is|are|fully|HIPAA|GDPR)[ -]compl(ies|iant)", page)


def test_statements_that_cannot_be_used(tmp_path: Path) -> None:
    file = tmp_path / "said.toml"
    for content, problem in (
        ("legal_basis = 3\nshoe_size = 'x'\n", "legal_basis is not a text; nobody asks for 'shoe_size'"),
        (f"consent = '{'x' * 601}'", "more than 600 characters"),
        ("consent = ", "is not TOML"),
    ):
        file.write_text(content)
        with pytest.raises(InvalidInput, match=re.escape(problem)):
            read_statements(file)
    file.write_text("consent = 'b'")
    (tmp_path / "first.toml").write_text("consent = 'a'\nretention = 'c'")
    assert read_statements(tmp_path / "first.toml", file).said == {"consent": "b", "retention": "c"}
    assert Statements({"consent": "b"}).open == [name for name in ASKED if name != "consent"]


def test_a_study_that_was_never_approved(tmp_path: Path) -> None:
    ada = Identity.create("ada@uni.org", tmp_path / "ada.json")
    site = hospital(tmp_path, ada)
    asked = manifest(purpose=PURPOSE)
    deliver(site, asked, ada)
    site.deny(asked.digest, reason="Too many columns")
    written = report_study(site, "demo", tmp_path / "out")
    text = text_of(tmp_path / "out" / "report.html")
    assert written.wrong == []
    assert "Too many columns" in text
    assert "nothing left" in text
    assert PURPOSE in text
    assert verify_folder(tmp_path / "out").good
    site.state.close()


def test_a_whole_datasite_in_a_period(site: Datasite, tmp_path: Path) -> None:
    written = report_datasite(site, tmp_path / "all", Period(None, None))
    assert written.wrong == []
    text = text_of(tmp_path / "all" / "report.html")
    for part in (
        PURPOSE,
        "ada@uni.org",
        "Stays for tests",
        "Counting",
        "30(1)(d)",
        "164.308(a)(1)(ii)(A)",
        "2 answers",
    ):
        assert part in text
    later = Period(datetime.now(UTC) + timedelta(days=1), None)
    report_datasite(site, tmp_path / "later", later, with_log=False)
    text = text_of(tmp_path / "later" / "report.html")
    assert "Studies None in this period." in text
    assert PURPOSE not in text


def test_a_folder_in_use_and_an_unknown_study_are_refused(site: Datasite, report: Path, tmp_path: Path) -> None:
    before = sorted(report.rglob("*"))
    with pytest.raises(InvalidInput, match="is not empty"):
        report_study(site, "demo", report)
    assert sorted(report.rglob("*")) == before
    with pytest.raises(InvalidInput, match="does not stand for one study"):
        report_study(site, "other", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "scheme", "width"), [("report", "light", 1280), ("assessment", "dark", 360)])
def test_it_reads_well_for_everybody(
    browser: Browser, report: Path, name: str, scheme: Literal["light", "dark"], width: int
) -> None:
    said: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"file://{report / name}.html")
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert said == []
    page.close()


def test_names_and_purposes_cannot_write_into_the_page(tmp_path: Path) -> None:
    attack = "</td></table><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\"'"
    site = recorded(tmp_path, manifest(purpose=attack))
    site.state.close()
    settings = (site.home.path / "datasite.toml").read_text()
    (site.home.path / "datasite.toml").write_text(settings.replace('name = ""', "name = '<script>alert(2)</script>'"))
    site = Datasite(site.home.path)
    written = report_study(site, "demo", tmp_path / "out")
    report_datasite(site, tmp_path / "all", Period(None, None), with_log=False)
    assert written.wrong == []
    for page in (
        tmp_path / "out" / "report.html",
        tmp_path / "out" / "assessment.html",
        tmp_path / "all" / "report.html",
    ):
        text = page.read_text()
        assert not re.search(r"<(script|img)\b", text)
        assert "\u202e" not in text
        assert "⟨U+202E⟩" in text
        assert "default-src 'none'" in text
    crate = (tmp_path / "out" / "ro-crate-metadata.json").read_text()
    assert "\u202e" not in json.loads(crate)["@graph"].__repr__()
    site.state.close()


def test_a_round_that_nothing_was_charged_for_is_told(tmp_path: Path) -> None:
    """Where the approval promised noise."""
    ada = Identity.create("ada@uni.org", tmp_path / "ada.json")
    site = hospital(tmp_path, ada)
    noisy = "decimals = 10\nmax_update_norm = 1.0\ngate_noise = 12.0"
    (tmp_path / "noisy.toml").write_text(POLICY.read_text().replace("decimals = 10", noisy))
    site.set_policy("stays", tmp_path / "noisy.toml")
    asked = manifest()
    deliver(site, asked, ada)
    site.approve(asked.digest)
    answer(site, asked, 1)
    assert report_study(site, "demo", tmp_path / "first").wrong == []
    answer(site, asked, 2, charged=False)
    (wrong,) = report_study(site, "demo", tmp_path / "second").wrong
    assert (wrong.what, "round 2 left" in wrong.found) == ("privacy charged", True)
    site.state.close()
