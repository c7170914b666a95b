from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from datasites.datasite import Datasite
from datasites.report.folder import report_study
from datasites.report.statements import FILE
from tests.support.recorded import recorded

SAID = 'legal_basis = "GDPR 6(1)(e), said by <b>Dr. Who</b>"\nresearcher_affiliation = "The University"\n'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Datasite]:
    datasite = recorded(tmp_path_factory.mktemp("recorded"))
    (datasite.home.path / FILE).write_text(SAID)
    yield datasite
    datasite.state.close()


@pytest.fixture(scope="module")
def report(site: Datasite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of its study."""
    folder = tmp_path_factory.mktemp("report") / "out"
    assert report_study(site, "demo", folder).wrong == []
    return folder
