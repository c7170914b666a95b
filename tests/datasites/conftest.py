from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.support.federation import PATIENCE
from tests.support.review import chromium

expect.set_options(timeout=1000 * PATIENCE)  # playwright's own five seconds are few on a busy machine


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for each file: playwright refuses a second while one is open, and its event loop is in the way of others."""
    with sync_playwright() as playwright:
        opened = chromium(playwright)
        yield opened
        opened.close()
