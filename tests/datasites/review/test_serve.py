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
from datasites.review.serve import listening
from policies.errors import InvalidInput
from tests.support.review import Served

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


def test_it_serves_until_it_is_ended_and_leaves_nothing_behind(
    site: Datasite, browser: Browser, tmp_path: Path
) -> None:
    """The browser is not started with the link: every user of a machine can read the arguments of its programs."""
    starter, started = tmp_path / "browser", tmp_path / "arguments"
    starter.write_text(f'#!/bin/sh\necho "$@" > {started}\n')
    starter.chmod(0o700)
    with reviewing(site, BROWSER=f"{starter} %s") as process:
        address = link(process)
        file = site.home.path / "review.html"
        assert file.stat().st_mode & 0o077 == 0
        assert started.read_text().strip() == file.as_uri()
        context = browser.new_context()
        page = context.new_page()
        page.goto(file.as_uri())  # the cookie is sent although the way began elsewhere
        expect(page.get_by_role("heading", name="Waiting for your decision (1)")).to_be_visible()
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
        context.close()
    assert process.returncode == 0
    assert "Traceback" not in said
    assert address not in said
    assert not file.exists()


def test_a_port_that_is_taken_is_told_in_one_sentence(page_of: Served) -> None:
    with pytest.raises(InvalidInput, match=f"Port {page_of.port} cannot be used"), listening(page_of.port):
        pass
