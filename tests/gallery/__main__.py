"""`make gallery`: pictures of the review page, and a packet as HTML, of a hospital that is in the middle of its work.

    python -m tests.gallery [FOLDER]

Every page at two sizes, light and dark, from a real server in real Chromium; written to `gallery/`, which git ignores.
Ends with one line `RESULT {json}`; exits with 1 when a page is wider than its window.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from rich.table import Table

from datasites.datasite import Datasite
from tests.support.busy import busy
from tests.support.review import SIZES, chromium, served


def pages(site: Datasite) -> dict[str, str]:
    """Path by name of the picture."""
    rows = site.studies()[["study", "decision", "digest"]].itertuples(index=False)
    studies = {f"study-{study[:-13]}-{decision}": f"/studies/{digest}" for study, decision, digest in rows}
    log = {"log": f"{studies['study-readmission-fedavg-approved']}/log"}
    return {"studies": "/", **studies, **log, "budget": "/budget", "held": "/held", "decisions": "/history"}


def main(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
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
    _show(found)
    too_wide = [name for name, sizes in found.items() for size in sizes if sizes[size][1] > SIZES[size][0]]
    result = {"pages": len(found), "pictures": len(list(folder.glob("*.png"))), "too_wide": too_wide}
    print("RESULT", json.dumps({**result, "packet_bytes": packet.stat().st_size}))
    return 1 if too_wide else 0


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


def _show(found: dict[str, dict[str, tuple[int, int]]]) -> None:
    names = [f"{size} ({width} x {height})" for size, (width, height) in SIZES.items()]
    table = Table("page", *names, title="Whole height and width of each page, in pixels")
    for name, sizes in found.items():
        table.add_row(name, *(f"{sizes[size][0]:,} x {sizes[size][1]:,}" for size in SIZES))
    Console(highlight=False, width=120).print(table)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "gallery")))
