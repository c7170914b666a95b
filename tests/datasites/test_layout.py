from __future__ import annotations

import shutil
import sqlite3
import stat
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from datasites.approval.vault import Vault
from datasites.datasite import Datasite
from datasites.layout import LAYOUT, STEPS, Step, bring_up, layout_of
from datasites.state import State
from datasites.wire.identity import Identity
from policies.errors import InvalidInput

FIRST = Path(__file__).parent.parent / "fixtures" / "home-layout-1.tar.xz"  # as the first release left it
STOPPED = """
import os, sqlite3, sys
from pathlib import Path
from datasites.layout import STEPS, Step, bring_up

def half_done(db, home):
    db.execute("UPDATE rounds SET outcome = 'changed'")
    (home / "peers.json").write_text("half")
    os.kill(os.getpid(), 9)

path = Path(sys.argv[1])
bring_up(sqlite3.connect(path, isolation_level="IMMEDIATE"), path, {**STEPS, 3: Step(half_done, ("peers.json",))})
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with tarfile.open(FIRST) as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / "north").chmod(0o700)
    return tmp_path / "north"


def layout(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return layout_of(db)


def test_a_home_of_the_first_release_is_opened(home: Path) -> None:
    assert layout(home / "state.db") == 1
    with Datasite.opened(home) as site:
        state = site.state
        (signed,) = state.decisions()
        study = signed.decision.study
        assert signed.verified(site.identity.public)
        assert Vault(site.home.approved).files(study)
        assert [answer.outcome for answer in state.answers(study)] == ["released"] * 3
        assert [row.step for row in state.ledger.rows()] == ["reserved", "committed"]
        assert state.audit.size == 21
        assert state.audit.root(21).hex() == {one.head.size: one.head.root for _, one in _heads(site)}[21]
        assert site.policy("stays").title
    assert layout(home / "state.db") == LAYOUT
    aside = home / f"before-layout-{LAYOUT}" / "state.db"
    assert layout(aside) == 1
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    changed = aside.stat().st_mtime_ns
    State(home / "state.db").close()
    assert aside.stat().st_mtime_ns == changed, "what is up to date is not copied again"


def _heads(site: Datasite):
    from datasites.audit.heads import OwnHeads

    return OwnHeads(site.identity, site.state.audit).kept()


def test_a_new_home_has_the_newest_layout_and_nothing_put_aside(tmp_path: Path) -> None:
    State(tmp_path / "state.db").close()
    assert layout(tmp_path / "state.db") == LAYOUT
    assert not list(tmp_path.glob("before-*"))
    with closing(sqlite3.connect(tmp_path / "state.db")) as db:
        assert db.execute("SELECT count(*) FROM audit_gaps").fetchone() == (0,)


def test_a_home_of_a_newer_release_is_left_alone(home: Path) -> None:
    with closing(sqlite3.connect(home / "state.db")) as db:
        db.execute(f"PRAGMA user_version = {LAYOUT + 1}")
    before = (home / "state.db").read_bytes()
    with pytest.raises(InvalidInput, match=f"newer release of Wardround .layout {LAYOUT + 1}; this one knows {LAYOUT}"):
        Datasite(home)
    assert (home / "state.db").read_bytes() == before


def test_a_step_that_kill_9_cut_off_has_changed_nothing_and_is_done_again(home: Path) -> None:
    path = home / "state.db"
    peers = (home / "peers.json").read_bytes()
    done = subprocess.run([sys.executable, "-c", STOPPED, str(path)], timeout=60)
    assert done.returncode == -9
    assert layout(path) == 1
    aside = home / "before-layout-3"
    assert (aside / "peers.json").read_bytes() == peers
    with closing(sqlite3.connect(path)) as db:
        assert {outcome for (outcome,) in db.execute("SELECT outcome FROM rounds")} == {"released"}

    def again(db: sqlite3.Connection, folder: Path) -> None:
        db.execute("ALTER TABLE rounds ADD COLUMN note TEXT")
        shutil.copy2(folder / "before-layout-3" / "peers.json", folder / "peers.json")

    with closing(sqlite3.connect(path, isolation_level="IMMEDIATE")) as db:
        bring_up(db, path, {**STEPS, 3: Step(again, ("peers.json",))})
        assert layout_of(db) == 3
        assert db.execute("SELECT count(note) FROM rounds").fetchone() == (0,)
    assert (home / "peers.json").read_bytes() == peers
    assert (aside / "peers.json").read_bytes() == peers


def test_a_step_that_fails_changes_nothing(home: Path) -> None:
    path = home / "state.db"

    def fails(db: sqlite3.Connection, folder: Path) -> None:
        db.execute("DROP TABLE rounds")
        raise ValueError("no")

    with closing(sqlite3.connect(path, isolation_level="IMMEDIATE")) as db:
        with pytest.raises(ValueError, match="no"):
            bring_up(db, path, {**STEPS, 3: Step(fails)})
        assert layout_of(db) == 1
        assert db.execute("SELECT count(*) FROM rounds").fetchone() == (3,)


def test_the_keys_of_the_first_release_are_loaded(home: Path) -> None:
    loaded = Identity.load("do@north.org", home / "identity.json")
    assert loaded.public.earlier == ()
