from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from datasites.datasite import Datasite
from datasites.wire.identity import Identity
from tests.support.review import Served, served
from tests.support.submissions import deliver, hospital, manifest


@pytest.fixture
def ada(tmp_path: Path) -> Identity:
    return Identity.create("ada@uni.org", tmp_path / "ada.json")


@pytest.fixture
def site(tmp_path: Path, ada: Identity) -> Iterator[Datasite]:
    """A datasite that knows Ada, with a study of hers that waits."""
    datasite = hospital(tmp_path, ada)
    deliver(datasite, manifest(), ada)
    yield datasite
    datasite.state.close()


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Datasite]:
    """The same, for attacks and mistakes: what changes nothing needs none of its own."""
    folder = tmp_path_factory.mktemp("still")
    her = Identity.create("ada@uni.org", folder / "ada.json")
    datasite = hospital(folder, her)
    deliver(datasite, manifest(), her)
    yield datasite
    datasite.state.close()


@pytest.fixture(scope="module")
def owner(still: Datasite) -> Iterator[Served]:
    """Its review page, as the owner's browser sends requests, or somebody who has stolen the cookie."""
    with served(still) as running:
        running.enter()
        yield running


@pytest.fixture
def page_of(site: Datasite) -> Iterator[Served]:
    """Its review page; nobody has opened it yet."""
    with served(site) as running:
        yield running


@pytest.fixture
def window(page_of: Served, browser: Browser) -> Iterator[Page]:
    """The owner's browser, which came by the link."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(page_of.door.address)
    page.wait_for_url(page_of.url("/"))
    yield page
    context.close()
