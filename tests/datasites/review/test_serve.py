"""The command itself, in a process of its own: its link, what it leaves behind, and what ends with it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from datasites.datasite import Datasite

_COMMAND = Path(sys.executable).parent / "wardround"


@contextmanager
def reviewing(site: Datasite, *options: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    command = [str(_COMMAND), "review", "--home", str(site.home.path), *options]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def link(process: subprocess.Popen[str]) -> str:
    for line in process.stdout:
        if found := re.search(r"http://127\.0\.0\.1:\d+/\S+", line):
            return found[0]
    raise AssertionError("it ended without a link")


def ended(process: subprocess.Popen[str]) -> str:
    """After Ctrl-C: what else it said."""
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    return said


def test_it_serves_until_ctrl_c_and_leaves_nothing_behind(site: Datasite, browser: Browser) -> None:
    with reviewing(site, "--no-browser") as process:
        address = link(process)
        file = site.home.path / "review.html"
        assert file.stat().st_mode & 0o077 == 0
        context = browser.new_context()
        page = context.new_page()
        page.goto(file.as_uri())  # as the command opens it: the cookie is sent although the way began elsewhere
        expect(page.get_by_role("heading", name="Waiting for your decision (1)")).to_be_visible()
        said = ended(process)
        context.close()
    assert process.returncode == 0
    assert "Traceback" not in said
    assert address not in said
    assert not file.exists()


def test_the_browser_is_not_started_with_the_link(site: Datasite, tmp_path: Path) -> None:
    """The arguments of a program can be read by every user of the machine."""
    browser, got = tmp_path / "browser", tmp_path / "arguments"
    browser.write_text(f'#!/bin/sh\necho "$@" > {got}.part; mv {got}.part {got}\n')
    browser.chmod(0o700)
    with reviewing(site, BROWSER=f"{browser} %s") as process:
        address = link(process)
        process.stdout.readline()
        assert got.read_text().strip() == (site.home.path / "review.html").as_uri()
        assert address in (site.home.path / "review.html").read_text()
        ended(process)


def test_a_port_that_is_taken_is_told_in_one_sentence(site: Datasite) -> None:
    with reviewing(site, "--no-browser") as first:
        port = re.search(r":(\d+)/", link(first))[1]
        with reviewing(site, "--no-browser", "--port", port) as second:
            said, _ = second.communicate(timeout=60)
        assert second.returncode == 1
        assert f"Port {port} cannot be used" in said
        assert "Traceback" not in said


@pytest.mark.parametrize("home", ["nowhere"])
def test_where_there_is_no_datasite_it_says_so(tmp_path: Path, home: str) -> None:
    done = subprocess.run(
        [str(_COMMAND), "review", "--home", str(tmp_path / home)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "There is no datasite in" in done.stderr
