"""What a data owner holds in a notebook shows itself, on one line and as a table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from datasites.audit.reputation import Standing
from datasites.audit.verify import verify
from datasites.datasite import Datasite
from tests.support.busy import busy


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Datasite]:
    site = busy(tmp_path_factory.mktemp("busy"))
    yield site
    site.state.close()


def _check(shown: Any, *told: str) -> str:
    line, page = repr(shown), str(shown._repr_html_())
    assert len(line) < 500
    assert not re.search(r" at 0x[0-9a-f]+", line)
    for text in told:
        assert text in page
    return page


def test_the_datasite_and_its_studies(site: Datasite) -> None:
    _check(site, "North General Hospital", site.fingerprint, "not running", "readmissions", "length-of-stay")
    assert "decided 1 approved, 1 denied, 1 revoked" in repr(site)


def test_packet_and_decision(site: Datasite) -> None:
    packet = site.packet("weather")
    _check(packet, "weather", "dark")
    assert repr(packet).startswith("<Packet: weather-")
    assert "waiting; the policy does not allow it" in repr(packet)
    _check(packet.manifest, "Correlate readmission with the weather")
    denied = next(s.decision for s in site.state.current_decisions() if s.decision.verdict == "denied")
    _check(denied, "Denied at do@north.org", "no more than 20 rounds")


def test_policy_budget_and_reputation(site: Datasite) -> None:
    _check(site.policy("readmissions"))
    _check(site.budget("readmissions"), "all studies", "bob@clinic.org", "currentColor")
    _check(site.reputation, "do@north.org")
    _check(Standing("ada@uni.org", problem="It was <b>taken back</b>."), "&lt;b&gt;taken back&lt;/b&gt;")


def test_the_audit_trail_can_be_read_and_proved(site: Datasite, tmp_path: Path) -> None:
    trail = site.audit
    _check(trail, f"{len(trail.entries())} entries; the newest 15", "decided")
    first = trail.entries().iloc[0]
    assert (first["number"], first["kind"]) == (1, "created")
    assert trail.entries(last=2)["number"].tolist() == [len(trail.entries()) - 1, len(trail.entries())]
    report = trail.verify()
    _check(report, "Everything fits.")
    assert report.good
    assert trail.export(tmp_path / "log") == len(trail.entries()) == verify(tmp_path / "log").size
    (tmp_path / "log").write_text((tmp_path / "log").read_text().replace('"denied"', '"approved"', 1))
    changed = verify(tmp_path / "log")
    _check(changed, "WRONG", "This log cannot be trusted as it stands.")
    assert "cannot be trusted" in repr(changed)


def test_an_excerpt_as_its_researcher_would_get_it(site: Datasite) -> None:
    study = next(row.digest for row in site.studies().itertuples() if row.decision == "approved")
    _check(site.draft_excerpt(study, 1, 2), "<pre>round 1: 399 rows")
    assert json.dumps(site.log(study)["line"].tolist()) == "[1, 2, 3]"
