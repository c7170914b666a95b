"""All notebooks, executed and rendered, light and dark; the two that belong together side by side."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter
from playwright.sync_api import Browser, sync_playwright

from tests.gallery.shown import Shown
from tests.support.notebooks import FOLDER, finished, outputs, running_federation, start
from tests.support.review import chromium

_TOGETHER = ("researcher.ipynb", "data_owner.ipynb")  # they wait for each other
_LAST = ("operator.ipynb",)  # it looks at what the others have left
_WIDTH = 1100


def notebooks(folder: Path) -> list[Shown]:
    names = [path.name for path in sorted(FOLDER.glob("*.ipynb"))]
    alone = [name for name in names if name not in (*_TOGETHER, *_LAST)]
    rows = []
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        browser = chromium(playwright)
        with running_federation(Path(temporary)) as demo:
            for group in (_TOGETHER, *((name,) for name in (*alone, *_LAST))):
                rows += _group(group, demo, folder, browser)
        browser.close()
    missing = set(names) - {row.name for row in rows}
    return rows + [Shown("notebook", name, "", "was not executed") for name in sorted(missing)]


def _group(names: tuple[str, ...], demo: Path, folder: Path, browser: Browser) -> list[Shown]:
    began, running = time.monotonic(), {name: start(name, demo) for name in names}
    rows = []
    for name, process in running.items():
        try:
            notebook = finished(name, process, demo)
        except AssertionError as failure:
            rows.append(Shown("notebook", name, "", str(failure).strip().splitlines()[-1][:200]))
            continue
        rows.append(_rendered(name, notebook, folder, browser, time.monotonic() - began))
    return rows


def _rendered(name: str, notebook: nbformat.NotebookNode, folder: Path, browser: Browser, seconds: float) -> Shown:
    stem = name.removesuffix(".ipynb")
    for theme in ("light", "dark"):
        page = folder / f"{stem}-{theme}.html"
        html, _ = HTMLExporter(theme=theme).from_notebook_node(notebook)
        page.write_text(html)
        shown = browser.new_page(viewport={"width": _WIDTH, "height": 900})
        shown.goto(page.resolve().as_uri())
        shown.screenshot(path=folder / f"{stem}-{theme}.png", full_page=True)
        shown.close()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    silent = sum(not cell.execution_count for cell in cells)
    pictures = len(outputs(notebook, "image/png"))
    told = f"{len(cells)} cells, {pictures} pictures, {len(outputs(notebook, 'text/html'))} tables, {seconds:.0f} s"
    return Shown("notebook", name, told, f"{silent} cells were not run" if silent else "")
