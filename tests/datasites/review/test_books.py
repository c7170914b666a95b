"""Logs, what of them is sent, budget and audit, where something is not as it should be."""

from __future__ import annotations

import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from datasites.audit.entry import Kind
from datasites.audit.heads import OwnHeads
from datasites.datasite import Datasite
from datasites.home import STUDY_LOG
from datasites.state import State
from datasites.wire.store import Store
from tests.support.review import Served
from tests.support.submissions import manifest

DIGEST = manifest().digest
LOG = f"/studies/{DIGEST}/log"


@pytest.fixture
def owner(site: Datasite, page_of: Served) -> Served:
    (site.home.study(DIGEST) / STUDY_LOG).write_text("one\ntwo\nthree\n")
    page_of.enter()
    return page_of


class TestLog:
    def shown(self, owner: Served, first: str, last: str) -> str:
        answer = owner.send(f"{LOG}/preview", first=first, last=last)
        return re.search(r'name="shown" value="(\w+)"', answer.text)[1]

    def test_exactly_the_lines_that_were_shown_are_sent(self, site: Datasite, owner: Served) -> None:
        shown = self.shown(owner, "2", "3")
        assert site.state.excerpts(DIGEST) == []
        assert owner.send(f"{LOG}/send", first="2", last="3", shown=shown, read="yes").status == 303
        (sent,) = site.state.excerpts(DIGEST)
        assert sent.excerpt.text == "two\nthree"
        assert "Lines 2 to 3 are signed" in owner.get(LOG).text
        assert owner.send(f"{LOG}/send", first="2", last="3", shown=shown, read="yes").status == 303  # sent again
        assert len(site.state.excerpts(DIGEST)) == 1

    def test_other_lines_than_were_shown_are_not(self, site: Datasite, owner: Served) -> None:
        shown = self.shown(owner, "2", "2")
        owner.send(f"{LOG}/send", first="1", last="3", shown=shown, read="yes")
        assert "not the lines that were shown" in owner.get(LOG).text
        (site.home.study(DIGEST) / STUDY_LOG).write_text("one\nEve, born 1970\nthree\n")
        owner.send(f"{LOG}/send", first="2", last="2", shown=shown, read="yes")
        assert "not the lines that were shown" in owner.get(LOG).text
        assert site.state.excerpts(DIGEST) == []

    def test_nor_without_the_owner_s_word(self, site: Datasite, owner: Served) -> None:
        owner.send(f"{LOG}/send", first="2", last="2", shown=self.shown(owner, "2", "2"))
        assert "Tick that the lines hold nothing" in owner.get(LOG).text
        assert site.state.excerpts(DIGEST) == []

    def test_lines_that_are_not_there(self, owner: Served) -> None:
        for first, last in (("0", "1"), ("1", "4"), ("3", "2"), ("x", "1"), ("", ""), ("1" * 99, "1")):
            assert owner.send(f"{LOG}/preview", first=first, last=last).status == 303
            assert re.search(r"The log has 3 lines|These are no line numbers", owner.get(LOG).text)


class TestAudit:
    def check(self, owner: Served) -> str:
        answer = owner.send("/audit/check")
        assert answer.status == 200
        return answer.text

    def test_a_log_that_is_whole(self, site: Datasite, owner: Served) -> None:
        OwnHeads(site.identity, site.state.audit).publish(Store(site.settings.store))
        assert "Everything fits" in self.check(owner)

    def test_an_entry_that_was_changed(self, site: Datasite, owner: Served) -> None:
        with sqlite3.connect(site.home.state) as db:
            db.execute("DROP TRIGGER audit_entries_stay")
            db.execute("UPDATE audit_entries SET entry = replace(entry, 'stays', 'other') WHERE number = 2")
        db.close()
        text = self.check(owner)
        assert "cannot be trusted" in text
        assert "entry 2 (line 3) was changed" in text

    def test_a_log_that_was_rolled_back(self, site: Datasite, owner: Served, tmp_path: Path) -> None:
        """An older copy, whole in itself: only what was shown before tells."""
        with sqlite3.connect(site.home.state) as db, sqlite3.connect(tmp_path / "old.db") as copy:
            db.backup(copy)
        db.close()
        copy.close()
        site.state.audit.record(Kind.AGENT_STARTED)
        OwnHeads(site.identity, site.state.audit).publish(Store(site.settings.store))
        site.state.close()
        for path in site.home.path.glob("state.db*"):
            path.unlink()
        shutil.copy(tmp_path / "old.db", site.home.state)
        site.state = State(site.home.state)
        text = self.check(owner)
        assert "cannot be trusted" in text
        assert "was rolled back" in text


def test_one_damaged_policy_hides_no_other_table(site: Datasite, owner: Served) -> None:
    (site.home.datasets / "beds.json").write_text((site.home.datasets / "stays.json").read_text())
    (site.home.path / "policies" / "beds.toml").write_text("title = ")
    text = owner.get("/budget").text
    assert "all studies" in text
    assert "beds" in text
    assert 'class="bad"' in text


def test_what_fails_is_told_without_details(site: Datasite, owner: Served, caplog: pytest.LogCaptureFixture) -> None:
    site.home.held.mkdir(exist_ok=True)
    (site.home.held / "x.json").write_text("ada@uni.org")
    answer = owner.get("/held")
    assert answer.status == 500
    assert "ada@uni.org" not in answer.text
    assert "content-security-policy" in answer.headers
