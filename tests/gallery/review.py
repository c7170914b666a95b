"""The review page of a hospital that is in the middle of its work."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from datasites.datasite import Datasite
from tests.gallery.shown import Shown
from tests.support.busy import busy
from tests.support.review import SIZES, chromium, served


def pages(site: Datasite) -> dict[str, str]:
    """Path by name of the picture."""
    rows = site.studies()[["study", "decision", "digest"]].itertuples(index=False)
    studies = {f"study-{study[:-13]}-{decision}": f"/studies/{digest}" for study, decision, digest in rows}
    log = {"log": f"{studies['study-readmission-fedavg-approved']}/log"}
    return {"studies": "/", **studies, **log, "budget": "/budget", "held": "/held", "decisions": "/history"}


def review(folder: Path) -> list[Shown]:
    """Every page at two sizes, light and dark, from a real server in real Chromium; and a packet as one page."""
    with tempfile.TemporaryDirectory() as temporary:
        site = busy(Path(temporary))
        packet = folder / "packet.html"
        packet.write_text(site.packet("weather").html())
        with served(site) as running, sync_playwright() as playwright:
            browser = chromium(playwright)
            page = browser.new_page()
            page.goto(running.door.address)
            page.wait_for_url(running.url("/"))
            found = {name: _pictures(page, running.url(path), folder / name) for name, path in pages(site).items()}
            page.goto(running.url("/audit"))
            page.get_by_role("button", name="Check the log now").click()
            found["audit"] = _pictures(page, "", folder / "audit")
            browser.close()
        site.state.close()
    return [_row(name, sizes) for name, sizes in found.items()]


def _row(name: str, sizes: dict[str, tuple[int, int]]) -> Shown:
    told = ", ".join(f"{size} {sizes[size][0]:,} x {sizes[size][1]:,} px" for size in SIZES)
    wide = [size for size in SIZES if sizes[size][1] > SIZES[size][0]]
    return Shown("review page", name, told, f"too wide: {', '.join(wide)}" if wide else "")


def _pictures(page: Page, url: str, stem: Path) -> dict[str, tuple[int, int]]:
    """Takes one a size and colour scheme (the top of the page, as a person first sees it); what is asked for is the
    page that is shown, if there is no address. Returns the page's whole (height, width) in pixels by size."""
    if url:
        page.goto(url)
    found = {}
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
            page.screenshot(path=f"{stem}-{size}-{scheme}.png")
        whole = page.evaluate("[document.documentElement.scrollHeight, document.documentElement.scrollWidth]")
        found[size] = (whole[0], whole[1])
    return found
