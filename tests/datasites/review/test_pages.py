"""All pages of a busy hospital, as people with other eyes, hands and windows meet them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from datasites.datasite import Datasite
from tests.support.busy import busy
from tests.support.review import Served, served


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Datasite]:
    site = busy(tmp_path_factory.mktemp("busy"))
    yield site
    site.state.close()


@pytest.fixture(scope="module")
def running(hospital: Datasite) -> Iterator[Served]:
    with served(hospital) as found:
        yield found


@pytest.fixture(scope="module")
def window(running: Served, browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    page = context.new_page()
    page.goto(running.door.address)
    page.wait_for_url(running.url("/"))
    yield page
    context.close()


@pytest.fixture(scope="module")
def digests(hospital: Datasite) -> dict[str, str]:
    """By name and decision."""
    rows = hospital.studies()[["study", "decision", "digest"]].itertuples(index=False)
    return {f"{study[:-13]} {decision}": digest for study, decision, digest in rows}


PAGES = {
    "studies": "/",
    "a new version": "/studies/{readmission-fedavg waiting}",
    "approved": "/studies/{readmission-fedavg approved}",
    "against the policy": "/studies/{weather waiting}",
    "private": "/studies/{readmission-private waiting}",
    "log": "/studies/{readmission-fedavg approved}/log",
    "held": "/held",
    "budget": "/budget",
    "decisions": "/history",
    "audit": "/audit",
    "no such study": "/studies/none",
}


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_it_reads_well_for_everybody(window: Page, running: Served, digests: dict[str, str], path: str) -> None:
    """axe finds nothing in either colour scheme, and no window is too narrow."""
    said: list[str] = []
    window.on("console", lambda message: said.append(message.text))
    for name, digest in digests.items():
        path = path.replace(f"{{{name}}}", digest)
    window.goto(running.url(path))
    for scheme, width in (("light", 1280), ("dark", 360)):
        window.emulate_media(color_scheme=scheme)
        window.set_viewport_size({"width": width, "height": 800})
        found = Axe().run(window).response["violations"]
        assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found] == []
        assert window.evaluate("document.documentElement.scrollWidth") <= width
    for landmark in ("banner", "navigation", "main"):
        expect(window.get_by_role(landmark)).to_have_count(1)
    expect(window.get_by_role("heading", level=1)).to_have_count(1)
    assert not [text for text in said if "Content Security Policy" in text]


def test_the_results_of_forms_read_well_too(window: Page, running: Served, digests: dict[str, str]) -> None:
    window.goto(running.url(f"/studies/{digests['weather waiting']}"))
    window.get_by_label("I have read").check()
    window.get_by_role("button", name="Approve exactly this").click()
    expect(window.get_by_role("alert")).to_contain_text("does not allow this study")
    window.emulate_media(color_scheme="dark")
    assert Axe().run(window, "main > .notice").response["violations"] == []
    window.goto(running.url("/audit"))
    window.get_by_role("button", name="Check the log now").click()
    expect(window.get_by_role("status")).to_contain_text("Everything fits")
    assert Axe().run(window).response["violations"] == []


def test_the_packet_tells_what_changed_and_what_the_code_reaches_for(
    window: Page, running: Served, digests: dict[str, str]
) -> None:
    window.goto(running.url(f"/studies/{digests['readmission-fedavg waiting']}"))
    article = window.get_by_role("article")
    for text in ("-LEARNING_RATE = 1e-3", "+LEARNING_RATE = 5e-3", "config.seed", "allows this study"):
        expect(article).to_contain_text(text)
    window.goto(running.url(f"/studies/{digests['weather waiting']}"))
    window.get_by_role("article").get_by_role("link", name="study.py, line 12").first.click()
    line = window.locator("li:target")
    expect(line).to_contain_text("socket.create_connection")
    expect(line).to_be_in_viewport()


def test_the_budget_agrees_with_the_ledger(window: Page, running: Served, hospital: Datasite) -> None:
    window.goto(running.url("/budget"))
    total = hospital.budget("readmissions").total
    card = window.get_by_role("listitem").filter(has_text="all studies")
    expect(card).to_contain_text(f"{total.counted:.3g} of 10")
    expect(card.get_by_role("img", name=f"{100 * total.counted / 10:.0f}% used")).to_be_visible()
    expect(window.get_by_role("main")).to_contain_text("20 training steps, each of 5% of the patients")


def test_held_results_say_why_and_what_the_researcher_was_told(window: Page, running: Served) -> None:
    window.goto(running.url("/held"))
    main = window.get_by_role("main")
    expect(main).to_contain_text("metric 'loss' stands for 7 rows, fewer than 20")
    expect(main).to_contain_text("Too few patients stand behind the result")
