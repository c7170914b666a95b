"""Decisions, made as a data owner makes them: in a browser, by keyboard."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from datasites.datasite import Datasite
from datasites.state import now
from datasites.wire.identity import Identity
from tests.support.review import Served
from tests.support.submissions import CODE, deliver, manifest

DIGEST = manifest().digest


def reach(page: Page, target: Locator) -> None:
    """By the Tab key alone; where the focus is can be seen."""
    expect(target).to_be_visible()
    for _ in range(80):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            assert target.evaluate("element => getComputedStyle(element).outlineStyle") != "none"
            return
    raise AssertionError("it cannot be reached by keyboard")


def press(page: Page, target: Locator) -> None:
    reach(page, target)
    page.keyboard.press("Enter")


def write(page: Page, target: Locator, text: str) -> None:
    reach(page, target)
    page.keyboard.press("Control+A")
    page.keyboard.type(text)


def look(page: Page, served: Served, digest: str = DIGEST) -> None:
    page.goto(served.url(f"/studies/{digest}"))


class TestByKeyboard:
    def test_approve_with_narrower_limits_then_revoke(self, site: Datasite, window: Page) -> None:
        press(window, window.get_by_role("link", name="demo-"))
        write(window, window.get_by_label("Rounds, at most 3"), "2")
        end = now() + timedelta(days=20)
        write(window, window.get_by_label("Ends on"), f"{end:%m%d%Y}")
        reach(window, window.get_by_label("I have read"))
        window.keyboard.press("Space")
        press(window, window.get_by_role("button", name="Approve exactly this"))
        told = window.get_by_role("status")
        expect(told).to_contain_text("approved for 2 rounds")
        expect(told).to_be_focused()
        made = site.state.decision(DIGEST).decision
        assert (made.verdict, made.rounds) == ("approved", 2)
        assert f"{made.expires_at:%Y-%m-%d %H:%M}" == f"{end:%Y-%m-%d} 00:00"
        expect(window.locator(".decide")).to_contain_text("For 2 rounds until")

        write(window, window.get_by_label("Reason, for the researcher"), "Consent ended & <so> on")
        press(window, window.get_by_role("button", name="Revoke the approval"))
        expect(window.get_by_role("status")).to_contain_text("revoked")
        made = site.state.decision(DIGEST).decision
        assert (made.verdict, made.reason, made.number) == ("revoked", "Consent ended & <so> on", 2)
        expect(window.get_by_role("button", name="Approve exactly this")).to_be_visible()
        expect(window.get_by_role("button", name="Revoke")).to_have_count(0)

    def test_deny(self, site: Datasite, window: Page) -> None:
        press(window, window.get_by_role("link", name="demo-"))
        press(window, window.get_by_role("link", name="Go to the decision"))
        write(window, window.get_by_role("form", name="Deny").get_by_label("Reason"), "Not now")
        press(window, window.get_by_role("button", name="Deny the study"))
        expect(window.get_by_role("status")).to_contain_text("denied")
        made = site.state.decision(DIGEST).decision
        assert (made.verdict, made.reason) == ("denied", "Not now")
        press(window, window.get_by_role("link", name="Decisions"))
        expect(window.get_by_role("main")).to_contain_text("Not now")

    def test_the_skip_link_leads_past_the_menu(self, window: Page) -> None:
        window.keyboard.press("Tab")
        skip = window.get_by_role("link", name="Skip to the content")
        expect(skip).to_be_in_viewport()
        window.keyboard.press("Enter")
        window.keyboard.press("Tab")
        expect(window.get_by_role("link", name="demo-")).to_be_focused()


class TestWithoutWhatIsNeeded:
    def test_the_browser_asks_for_what_is_missing(self, site: Datasite, window: Page, page_of: Served) -> None:
        look(window, page_of)
        window.get_by_role("button", name="Approve exactly this").click()
        window.get_by_role("button", name="Deny the study").click()
        assert window.url == page_of.url(f"/studies/{DIGEST}")
        assert site.state.decision(DIGEST) is None

    @pytest.mark.parametrize(
        ("act", "form", "why"),
        [
            ("approve", {"rounds": "3"}, "Tick that you have read"),
            ("approve", {"read": "yes", "rounds": "three"}, "not a number of rounds"),
            ("approve", {"read": "yes", "rounds": "4"}, "The study asks for 3 rounds."),
            ("approve", {"read": "yes", "expires": "soon"}, "is not a date"),
            ("approve", {"read": "yes", "expires": "2020-01-01"}, "would have expired already"),
            ("approve", {"read": "yes", "expires": "2099-01-01"}, "at most 365 days"),
            ("deny", {"reason": " "}, "There is no reason yet"),
            ("deny", {"reason": "x" * 2001}, "The reason has 2,001 characters."),
            ("revoke", {"reason": "x"}, "This study is not approved."),
        ],
    )
    def test_the_server_refuses_in_one_sentence(
        self, still: Datasite, owner: Served, act: str, form: dict[str, str], why: str
    ) -> None:
        assert owner.send(f"/studies/{DIGEST}/{act}", seen="0", **form).status == 303
        answer = owner.get(f"/studies/{DIGEST}").text
        assert why in answer.replace("&#39;", "'")
        assert 'role="alert"' in answer
        assert still.state.decision(DIGEST) is None
        assert 'role="alert"' not in owner.get(f"/studies/{DIGEST}").text

    def test_what_was_written_is_not_lost_by_a_refusal(self, window: Page, page_of: Served) -> None:
        look(window, page_of)
        window.get_by_label("Note to the researcher").fill("Welcome </textarea>")
        window.get_by_label("Ends on").fill("2099-01-01")
        window.get_by_label("I have read").check()
        window.get_by_role("button", name="Approve exactly this").click()
        expect(window.get_by_role("alert")).to_contain_text("Not done. The policy 'Counting' lets")
        expect(window.get_by_label("Note to the researcher")).to_have_value("Welcome </textarea>")

    def test_what_the_policy_does_not_allow_cannot_be_approved(
        self, site: Datasite, window: Page, page_of: Served
    ) -> None:
        look(window, page_of)
        site.set_policy("stays", "standard")  # stricter, while the owner reads
        window.get_by_label("I have read").check()
        window.get_by_role("button", name="Approve exactly this").click()
        expect(window.get_by_role("alert")).to_contain_text("fewer than 50 patients")
        expect(window.locator(".decide")).to_contain_text("approving it will be refused")
        assert site.state.decision(DIGEST) is None


class TestWhatIsShownIsWhatIsDecided:
    def test_a_study_changed_in_between_is_not_approved(
        self, site: Datasite, ada: Identity, window: Page, page_of: Served
    ) -> None:
        look(window, page_of)
        (job,) = (one.job for one in site.office.submissions())
        changed = Path(job.code_dir) / "study.py"
        changed.write_bytes(changed.read_bytes() + b"\nimport os\n")
        window.get_by_label("I have read").check()
        window.get_by_role("button", name="Approve exactly this").click()
        expect(window.get_by_role("alert")).to_contain_text("Nothing was decided.")
        assert site.state.decisions() == []

    def test_nor_a_new_version_of_the_same_name(
        self, site: Datasite, ada: Identity, window: Page, page_of: Served
    ) -> None:
        look(window, page_of)
        code = {**CODE, "more.py": b"import os\n"}
        deliver(site, newer := manifest(code), ada, code)
        window.get_by_label("I have read").check()
        window.get_by_role("button", name="Approve exactly this").click()
        expect(window.get_by_role("status")).to_contain_text("approved")
        assert site.state.decision(DIGEST).decision.verdict == "approved"
        assert site.state.decision(newer.digest) is None

    def test_what_a_colleague_decided_meanwhile_is_looked_at_first(
        self, site: Datasite, window: Page, page_of: Served
    ) -> None:
        look(window, page_of)
        site.deny(DIGEST, reason="The board said no.")
        window.get_by_label("I have read").check()
        window.get_by_role("button", name="Approve exactly this").click()
        expect(window.get_by_role("alert")).to_contain_text("Somebody has decided on this study")
        expect(window.get_by_role("article")).to_contain_text("The board said no.")
        assert site.state.decision(DIGEST).decision.verdict == "denied"

    def test_a_study_that_cannot_run_here_offers_no_approval(
        self, site: Datasite, ada: Identity, window: Page, page_of: Served
    ) -> None:
        asked = manifest(columns=("days", "nothing"))
        deliver(site, asked, ada)
        look(window, page_of, asked.digest)
        expect(window.get_by_role("button", name="Approve exactly this")).to_have_count(0)
        page_of.cookie = "; ".join(f"{c['name']}={c['value']}" for c in window.context.cookies(page_of.url("/")))
        page_of.send(f"/studies/{asked.digest}/approve", seen="0", read="yes")
        window.reload()
        expect(window.get_by_role("alert")).to_contain_text("cannot run here")
        assert site.state.decision(asked.digest) is None
