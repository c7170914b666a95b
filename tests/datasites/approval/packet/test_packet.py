"""The packet of real submissions, as they lie in Syft's tree."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from torch import nn

import researcher as wr
from datasites.approval import private
from datasites.approval.packet import Packet
from datasites.approval.packet.document import Code, Diff, Facts, Paragraph, Section, Table
from datasites.cli.document import draw
from datasites.datasite import Datasite
from datasites.ledger.rows import Charge
from datasites.wire.dictionary import Dictionary
from datasites.wire.identity import Identity
from datasites.wire.outputs import private_outputs
from datasites.wire.preparation import NumberInput
from datasites.wire.statistics import Statistics
from policies.privacy.accounting import epsilon
from policies.privacy.events import Gaussian, SharedGaussian
from tests.support.federation import DICTIONARY, POLICY
from tests.support.submissions import CODE, deliver, manifest

Submit = Callable[..., Packet]

REHEARSAL = {
    "sandbox": "bubblewrap",
    "twins": [
        {
            "hospital": "do@north.org",
            "fit_seconds": 1.25,
            "evaluate_seconds": 0.5,
            "train_examples": 1600,
            "test_examples": 400,
            "fit_metrics": {"total": 12.0},
            "evaluate_metrics": {"mean_score": 4.5},
        }
    ],
}


def section(packet: Packet, title: str) -> Section:
    return next(one for one in packet.document.sections if one.title.startswith(title))


def said(packet: Packet, title: str) -> str:
    """All that a section says, in one line."""
    return " ".join(words for block in section(packet, title).blocks for words in _words(block))


def _words(block: Any) -> list[str]:
    if isinstance(block, Paragraph):
        return [block.text]
    if isinstance(block, Facts):
        return [f"{what}: {value}" for what, value in block.rows]
    if isinstance(block, Table):
        return [str(cell) for row in block.rows for cell in row]
    return list(block.lines) if isinstance(block, Diff) else [block.text]


def terminal(packet: Packet, width: int = 100) -> str:
    console = Console(width=width, highlight=False, color_system=None)
    with console.capture() as captured:
        draw(packet.document, console)
    return captured.get()


class TestFirstSubmission:
    def test_the_summary_says_plainly_what_runs_and_what_leaves(self, submit: Submit) -> None:
        packet = submit()
        told = packet.summary
        for part in (
            "ada@uni.org asks",
            "beside the rows of the table 'stays'",
            "3 of its 3 columns",
            "at most 3 rounds, each of at most 1 hour",
            "a model of 4 numbers",
            f"at most {packet.manifest.outputs.max_bytes} bytes a round",
            "There is no differential-privacy guarantee",
            "The policy in force allows it.",
        ):
            assert part in told

    def test_the_digest_shown_is_the_digest_that_runs(self, site: Datasite, submit: Submit) -> None:
        packet = submit()
        assert packet.digest in said(packet, "What is asked")
        groups = re.search(r"(?:[0-9a-f]{4} ){7}[0-9a-f]{4}", said(packet, "What is asked").split("other hospitals")[1])
        assert groups
        assert packet.digest.startswith(groups[0].replace(" ", ""))
        assert site.approve(packet.digest).study == packet.digest
        assert site.office.vault.files(packet.digest) == {p: t.encode() for p, t in packet.code().items()}

    def test_who_asks_is_shown_with_the_keys_that_were_pinned(self, submit: Submit, ada: Identity) -> None:
        assert ada.public.fingerprint in said(submit(), "What is asked")

    def test_columns_have_their_meaning_and_sensitivity(self, submit: Submit) -> None:
        told = said(submit(), "Columns")
        assert "Length of stay." in told
        assert "1 to 90" in told
        assert "not stated" in told
        assert "the table has no such column" in said(submit(columns=("income",)), "Columns")

    def test_findings_stand_under_the_lines_that_they_speak_of(self, submit: Submit) -> None:
        packet = submit({"study.py": b"import numpy\n\nx = open('/etc/passwd')\n"})
        assert "Packages that it uses: numpy." in said(packet, "What the code reaches for")
        assert "study.py, line 3 open reads or writes files" in said(packet, "What the code reaches for")
        (code,) = (b for b in section(packet, "The code").blocks if isinstance(b, Code) and b.path == "study.py")
        assert code.notes == {3: ["open: reads or writes files"]}
        page = packet.html()
        place = re.search(r'<a href="#([\w-]+)">study.py, line 3</a>', page)
        assert place
        assert re.search(rf'<li id="{place[1]}"><code>x = open\(', page)

    def test_every_rule_of_the_policy_is_told(self, submit: Submit) -> None:
        packet = submit(purpose="Anything")
        (table,) = (b for b in section(packet, "What the policy says").blocks if isinstance(b, Table))
        assert [row[1] for row in table.rows] == ["allowed"] * 17
        packet = submit({"study.py": b"import os\n"}, rounds=2000)
        (table,) = (b for b in section(packet, "What the policy says").blocks if isinstance(b, Table))
        assert "does not allow" in said(packet, "What the policy says")
        objections = [row for row, tone in zip(table.rows, table.tones, strict=True) if tone == "bad"]
        assert any("2,000 rounds" in str(row[1]) and "Ask for 1 to 1,000" in str(row[2]) for row in objections)
        assert table.rows[0] in objections
        assert packet.to_json()["policy"]["allowed"] is False

    def test_a_damaged_policy_is_told(self, site: Datasite, submit: Submit) -> None:
        (site.home.path / "policies" / "stays.toml").write_text("title = ")
        packet = submit()
        assert "nothing is allowed" in packet.summary
        assert "nothing is allowed" in said(packet, "What the policy says")

    def test_the_rehearsal_is_told_as_what_the_researcher_reports(self, submit: Submit) -> None:
        assert "reports no rehearsal" in said(submit(), "The rehearsal")
        told = said(submit(rehearsal=REHEARSAL), "The rehearsal")
        for part in ("What the researcher reports, on invented rows", "bubblewrap", "1.25 s on 1,600 rows", "total 12"):
            assert part in told

    def test_what_stays_here_between_rounds_is_told(self, submit: Submit) -> None:
        arrays = {"w": {"shape": [4], "dtype": "int64"}}
        outputs = {"parameters": arrays, "fit_metrics": (), "evaluate_metrics": (), "evaluate_arrays": {}}
        kept = {"head.weight": {"shape": [2, 300], "dtype": "float32"}, "head.bias": {"shape": [2], "dtype": "float32"}}
        packet = submit(outputs={**outputs, "kept": kept})
        sentence = "The code keeps 602 numbers (2,408 bytes) at this hospital between its rounds"
        assert sentence in packet.summary
        assert "what later rounds send may depend on them" in packet.summary
        told = said(packet, "What may leave")
        assert sentence in told
        assert "head.weight" in told
        assert "the policy does not allow it" in said(packet, "What the policy says").lower()
        assert "keeps" not in submit(name="plain").summary

    def test_processes_that_train_together_are_told(self, submit: Submit) -> None:
        packet = submit(processes=4)
        assert "in 4 processes that train together" in packet.summary
        told = "Processes that train together: 4, which speak with each other and with nothing else"
        assert told in said(packet, "What is asked")
        assert "It would run in 4 processes that train together." in said(packet, "What the policy says")
        assert "train together" not in submit(name="plain").summary

    def test_what_leaves_in_the_worst_case(self, submit: Submit) -> None:
        packet = submit()
        most = packet.manifest.outputs.max_bytes
        assert f"Leaves in a round, at most: {most} bytes" in said(packet, "What is asked")
        assert f"Leaves in all, at most: {4 * most:,} bytes" in said(packet, "What is asked")


class TestLaterVersion:
    def test_what_it_costs_in_privacy_against_what_is_left(
        self, site: Datasite, submit: Submit, tmp_path: Path
    ) -> None:
        """In all three drawings; without noise nothing is counted."""
        assert "Nothing is charged" in said(submit(name="plain"), "What it costs")
        release = "decimals = 10\nmax_update_norm = 1.0\ngate_noise = 20"
        (tmp_path / "noise.toml").write_text(POLICY.read_text().replace("decimals = 10", release))
        site.set_policy("stays", tmp_path / "noise.toml")
        earlier = Charge("stays", "e" * 64, "bob@uni.org", 1, "f" * 64, (Gaussian(4.0, 1, "hospital"),))
        site.state.ledger.reserve(earlier, site.policy("stays").budget)
        packet = submit(name="covered")
        spent = epsilon(packet.planned, 1e-6)
        told = f"It would use epsilon {spent:.3g} of the 3 allowed a study; "
        assert told in said(packet, "What it costs")
        left = packet.to_json()["privacy"]["left"]
        assert left == pytest.approx(site.budget("stays").total.left)
        assert f"{left:.3g} of 10 are left for all studies." in " ".join(terminal(packet).split())
        assert told in packet.html()
        assert told in packet._repr_html_()

    def test_nothing_was_approved_before(self, submit: Submit) -> None:
        assert "No study of this name" in said(submit(), "What changed")

    def test_files_configuration_columns_and_contract_are_compared(self, site: Datasite, submit: Submit) -> None:
        first = submit(config={"rate": 1, "deep": {"a": 1}})
        site.approve(first.digest)
        code = {"study.py": CODE["study.py"].replace(b"PRIME = 1_000_003", b"PRIME = 7"), "more.py": b"X = 1\n"}
        changed = submit(code, config={"rate": 2, "deep": {"a": 1}}, columns=("days", "site"), rounds=2)
        told = said(changed, "What changed")
        assert f"Compared with study {first.digest[:12]}" in told
        for part in ("config.rate 1 2", "rounds 3 2", "columns, what differs readmitted", "-PRIME = 1_000_003"):
            assert part in told
        assert "+PRIME = 7" in told
        assert "a new file" in told
        assert "deep" not in told
        assert "Nothing changed" not in told

    def test_a_repetition_changed_nothing_else(self, site: Datasite, submit: Submit) -> None:
        site.approve(submit().digest)
        other = submit(rounds=1)
        site.approve(other.digest)
        again = submit(repetition=2)
        told = said(again, "What changed")
        assert "Nothing changed but the repetition" in told
        assert "Before" not in told
        assert f"number 2 of study {again.manifest.first[:12]}" in said(again, "What is asked")

    def test_another_report_of_the_rehearsal_is_no_other_work(self, site: Datasite, submit: Submit) -> None:
        site.approve(submit().digest)
        assert "Nothing changed but what the researcher reports" in said(submit(rehearsal=REHEARSAL), "What changed")

    def test_only_what_was_approved_and_only_what_came_before(self, site: Datasite, submit: Submit) -> None:
        denied, first = submit(rounds=1), submit()
        site.deny(denied.digest, reason="No.")
        site.approve(first.digest)
        site.revoke(first.digest, reason="A patient objected.")
        site.approve(submit(name="other").digest)
        told = said(submit(rounds=2), "What changed")
        assert f"Compared with study {first.digest[:12]}" in told
        assert "It is revoked now." in told

    def test_a_damaged_earlier_copy_is_left_out(self, site: Datasite, submit: Submit) -> None:
        first = submit()
        site.approve(first.digest)
        (site.home.approved / first.digest / "code" / "study.py").write_text("x = 1\n")
        assert "No study of this name" in said(submit(rounds=2), "What changed")

    def test_the_history_of_its_decisions(self, site: Datasite, submit: Submit) -> None:
        packet = submit()
        assert "waits" in said(packet, "Decisions")
        site.deny(packet.digest, reason="A question first.")
        site.approve(packet.digest, rounds=2)
        packet = site.packet(packet.digest)
        assert "denied" in said(packet, "Decisions")
        assert "A question first." in said(packet, "Decisions")
        assert "2 rounds until" in said(packet, "Decisions")
        assert packet.decision == "approved"


class TestForms:
    @pytest.fixture
    def packet(self, submit: Submit) -> Packet:
        return submit(rehearsal=REHEARSAL, config={"rate": 1})

    def test_all_forms_say_the_same(self, packet: Packet) -> None:
        shown = " ".join(terminal(packet, 2_000).split())
        for form in (packet.html(), packet._repr_html_()):
            text = " ".join(re.sub(r"<[^>]*>", " ", form).split())
            for one in packet.document.sections:
                assert one.title in text
                assert one.title in shown
            for part in (packet.digest, packet.fingerprint, "PRIME = 1_000_003", "Length of stay."):
                assert part in text
                assert part in shown

    def test_the_page_needs_nothing_else_and_runs_nothing(self, packet: Packet) -> None:
        page = packet.html()
        assert "default-src 'none'" in page
        assert not re.search(r"<(script|img|link|iframe|object|form)\b|\son\w+=|\sstyle=|url\(|@import|\ssrc=", page)
        assert set(re.findall(r'href="(.)', page)) <= {"#"}
        assert "prefers-color-scheme: dark" in page
        assert 'name="viewport"' in page
        assert re.findall(r"<h(\d)", page)[:2] == ["1", "2"]
        assert len(re.findall(r"<h1", page)) == 1

    def test_the_style_is_the_one_that_the_page_allows(self, packet: Packet) -> None:
        import base64
        import hashlib

        page = packet.html()
        style = page.split("<style>")[1].split("</style>")[0]
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert f"sha256-{digest}" in page

    def test_the_form_for_programs_is_json(self, packet: Packet) -> None:
        told = json.loads(json.dumps(packet.to_json()))
        assert told["digest"] == packet.digest
        assert told["files"]["study.py"] == CODE["study.py"].decode()
        assert told["policy"]["verdicts"].keys() >= {"imports", "calls", "cohort"}


def _without_code(site: Datasite, ada: Identity, asked: wr.PrivateStudy | wr.PrivateStatistics) -> Packet:
    dictionary = Dictionary.load(DICTIONARY)
    put = asked.manifest("ada@uni.org", dictionary, asked.contract(dictionary))
    folder = deliver(site, put, ada, {"study.py": b""})
    (folder / "code" / "study.py").unlink()
    return site.packet(put.digest)


def test_a_study_that_the_hospital_trains_says_all_that_it_would_do(site: Datasite, ada: Identity) -> None:
    asked = wr.PrivateStudy(
        "private", "Test", "stays", nn.Linear(1, 1), {"days": (40.0, 20.0)}, "readmitted",
        rounds=2, steps=3, sampling_rate=0.5, expected_lot=5.0, optimizer=wr.Optimizer(learning_rate=0.1),
        noise_multiplier=6.0, evaluation_noise=8.0,
    )  # fmt: skip
    page = _without_code(site, ada, asked).html()
    assert "minus 40, divided by 20, held between -5 and 5" in page
    assert "of standard deviation 24 in each number of a step&#x27;s sum: 6 times 4" in page
    assert "64 counts, of at most 1 encounter of each patient" in page
    assert "more characters" not in page


def test_a_study_that_only_counts_says_what_and_how_exactly(site: Datasite, ada: Identity) -> None:
    packet = _without_code(site, ada, wr.PrivateStatistics("who", "Test", "stays", ["days"], noise_multiplier=5.0))
    assert "how many patients the table" in packet.summary
    assert "It would be answered once" in packet.summary
    assert "model" not in packet.summary
    page = packet.html()
    assert "What this hospital would count" in page
    assert "the mean, of values held between 1 and 90" in page
    assert "of standard deviation 7.071 in each count" in page
    assert "last test" not in page


def test_a_study_that_asks_for_marginals_says_how_columns_are_cut_and_what_hides_small_counts(
    site: Datasite, ada: Identity
) -> None:
    asked = wr.PrivateMarginals(
        "anchor", "Test", "stays", ["site", "days", "readmitted"],
        noise_multiplier=5.0, around="readmitted", edges={"days": [7, 30]},
    )  # fmt: skip
    packet = _without_code(site, ada, asked)
    assert "the values of 3 columns, and of 2 pairs of them" in packet.summary
    assert "No small count is withheld: the noise hides those too." in packet.summary
    assert "It would be answered once" in packet.summary
    page = packet.html()
    assert "each column, and each two columns, one of which is readmitted" in page
    assert "how many patients are in each of 3 ranges, cut at 7 to 30" in page
    assert "how many patients are below or above 0.5" in page
    assert f"of standard deviation {5 * 5**0.5:.4g} in each count" in page


def test_the_packet_says_on_whom_shared_noise_rests_and_what_is_left_of_it_otherwise() -> None:
    asked = Statistics(inputs=(NumberInput(column="days", low=-1.0, high=1.0),), noise_multiplier=9.0)
    hospitals = {f"do@h{at}.org": " ".join([f"{at:04x}"] * 8) for at in range(6)}
    changes = {"tier": "private", "files": {}, "columns": ("days",), "statistics": asked, "rounds": 1}
    study = manifest(
        outputs=private_outputs(asked), secure_aggregation={"hospitals": hospitals, "honest": 5}, **changes
    )
    told = private.guarantee(study, 1e-6)
    alone = epsilon([SharedGaussian(9 / 3**0.5, 1, 1)], 1e-6)
    assert f"costs epsilon {epsilon([SharedGaussian(9.0, 5, 6)], 1e-6):.3g}" in told
    assert "as long as at most 1 of them helps the researcher (at least 5 honest of 6)" in told
    assert f"this hospital's share alone would leave an epsilon of {alone:.3g}" in told
    whole = private.guarantee(manifest(outputs=private_outputs(asked), **changes), 1e-6)
    assert "rests on other hospitals" not in whole
