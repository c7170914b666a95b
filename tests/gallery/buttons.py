"""The data owner's buttons, in a real JupyterLab: as they are first seen, and as they ask once more."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
from playwright.sync_api import Locator, Page, sync_playwright

from tests.gallery.shown import Shown
from tests.support.busy import busy
from tests.support.review import chromium
from tests.support.s3 import _free_port

_PATIENCE = 180.0
_STUDY = "waiting"
_CODE = """from datasites.datasite import Datasite

site = Datasite({home!r})
site.buttons({study!r})"""


def buttons(folder: Path) -> list[Shown]:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        site = busy(root)
        studies = site.studies()
        waiting = studies[studies["decision"] == _STUDY].iloc[0]
        site.state.close()
        cell = nbformat.v4.new_code_cell(_CODE.format(home=str(site.home.path), study=waiting["digest"]))
        notebook = nbformat.v4.new_notebook(cells=[cell])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, root / "buttons.ipynb")
        with lab(root) as address, sync_playwright() as playwright:
            browser = chromium(playwright)
            page = browser.new_page(viewport={"width": 1000, "height": 900}, device_scale_factor=2)
            page.set_default_timeout(_PATIENCE * 1000)
            page.goto(address)
            cell = page.locator(".jp-Cell").first
            output = cell.locator(".jp-OutputArea-output")
            _run(page, cell, output.get_by_role("button", name="Approve"))
            rows = [_picture(page, folder, "buttons")]
            output.get_by_role("button", name="Approve").click()
            output.get_by_role("button", name="Back").wait_for()
            rows.append(_picture(page, folder, "buttons-ask"))
            browser.close()
        return rows


def _run(page: Page, cell: Locator, shown: Locator) -> None:
    """Asks again until it is shown: JupyterLab drops what is asked before it has reached the kernel."""
    until = time.monotonic() + _PATIENCE
    while not shown.is_visible() and time.monotonic() < until:
        if "[ ]" in cell.locator(".jp-InputPrompt").first.inner_text():
            cell.locator(".cm-content").click()
            page.keyboard.press("Shift+Enter")
        page.wait_for_timeout(2000)
    shown.wait_for()


def _picture(page: Page, folder: Path, name: str) -> Shown:
    output = page.locator(".jp-Cell-outputArea").first
    output.screenshot(path=folder / f"{name}.png")
    box = output.bounding_box()
    wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    told = f"{box['width']:,.0f} x {box['height']:,.0f} px" if box else ""
    return Shown("buttons", name, told, "too wide" if wide else "" if box else "not shown")


@contextlib.contextmanager
def lab(root: Path) -> Iterator[str]:
    """The address of `buttons.ipynb` in a JupyterLab that runs until the block ends, with settings of its own."""
    port, token = _free_port(), secrets.token_hex(16)
    places = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR")
    places += ("JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR")
    settings = {name: str(root / "jupyter" / name.lower()) for name in places}
    options = {
        "ServerApp.root_dir": root,
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "IdentityProvider.token": token,
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "LabApp.news_url": "None",
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--{name}={value}" for name, value in options.items()]
    environment = {**os.environ, **settings, "PYTHONPATH": str(Path(__file__).parents[2])}
    with (root / "lab.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            until = time.monotonic() + _PATIENCE
            while b"is running at" not in (root / "lab.log").read_bytes():
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"JupyterLab did not start:\n{(root / 'lab.log').read_text()[-2000:]}")
                time.sleep(0.1)
            yield f"http://localhost:{port}/doc/tree/buttons.ipynb?token={token}"
        finally:
            process.terminate()
            process.wait()
