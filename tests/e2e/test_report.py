"""The record of a study that real agents ran: it holds, and what it says has left is what lies in the store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import researcher as wr
from datasites.audit.entry import Kind
from datasites.report.folder import report_study
from datasites.report.verify import verify_folder
from datasites.wire import keys
from tests.support.federation import World

pytestmark = pytest.mark.slow


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, sites=1)
    try:
        yield made.open()
    finally:
        made.close()


def test_a_real_studys_record_holds_and_tells_what_left(world: World, tmp_path: Path) -> None:
    study = world.approved(rounds=2)
    result = wr.Rounds(study).run()
    (north,) = world.hospitals
    written = report_study(north.datasite, study.digest, tmp_path / "out")
    assert written.wrong == []
    assert verify_folder(tmp_path / "out", fingerprint=north.datasite.fingerprint).good
    page = (tmp_path / "out" / "report.html").read_text()
    left = [e for e in north.datasite.state.audit.entries(study.digest) if e["kind"] == Kind.RELEASED]
    assert len(left) == 3
    for entry in left:
        sealed = world.researcher.store.get(keys.round_up(study.digest, entry["round"], north.email))
        assert sealed is not None
        assert (hashlib.sha256(sealed).hexdigest(), len(sealed)) == (entry["reply"], entry["bytes"])
        assert entry["reply"] in page
    north.datasite.revoke(study.manifest.job_name, reason="The study is over")
    assert report_study(north.datasite, study.digest, tmp_path / "later").wrong == []
    card = result.model_card()
    assert study.digest in card
    assert f"{result.round} of 2" in card
