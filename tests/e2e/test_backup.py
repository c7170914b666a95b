"""A hospital's disk is lost between two rounds: an older backup is put back, and the federation goes on knowingly."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import researcher as wr
from datasites.datasite import Datasite
from tests.support.federation import PATIENCE, WARDROUND, Hospital, World, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("WARDROUND_AUDIT_SECONDS", "0.2")
        patched.setenv("WARDROUND_BACKUP_PASSPHRASE", "a passphrase for backups")
        made = World(tmp_path_factory.mktemp("backup"))
        try:
            yield made.open()
        finally:
            made.close()


def command(hospital: Hospital, *argv: str | Path, code: int = 0) -> str:
    argv = (*WARDROUND, *map(str, argv), "--home", str(hospital.home.path))
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, env=os.environ)
    assert done.returncode == code, done.stderr
    return " ".join((done.stdout + done.stderr).split())


def test_a_lost_disk_is_replaced_by_an_older_backup(world: World, tmp_path: Path) -> None:
    north = world.hospitals[0]
    study = world.approved(rounds=3)
    wr.Rounds(study, deadline=PATIENCE).run(rounds=1)
    command(north, "backup", tmp_path / "north.backup")  # while its agent serves
    wr.Rounds(study, deadline=PATIENCE).run(rounds=2)
    wait_for(lambda: set(world.researcher.witness()["verdict"]) == {"consistent"}, "heads to be seen")
    entries = north.datasite.state.audit.size
    north.kill()
    north.datasite.state.close()
    shutil.rmtree(north.home.path)

    command(north, "restore", tmp_path / "north.backup")
    assert "comes from a backup" in command(north, "serve", code=3)
    told = command(north, "confirm-restore", "--yes")
    assert "entries are lost" in told
    assert "the privacy budget of every table is closed" in told
    north.datasite = Datasite(north.home.path)
    assert north.datasite.state.audit.size < entries
    assert north.datasite.state.decision(study.digest).decision.verdict == "revoked"

    north.start()
    north.wait_until_serving()
    verdicts = lambda: world.researcher.witness().set_index("hospital")["verdict"]  # noqa: E731
    wait_for(lambda: verdicts()["north"] == "restored", "the researcher to be told")
    south = world.hospitals[1]
    wait_for(
        lambda: (
            {"restored"}
            & {str(e.get("verdict")) for e in south.datasite.state.audit.entries() if e["kind"] == "head_alarm"}
        ),
        "the other hospital to be told",
    )
    # the study's submission is there again, and goes on once it is approved again
    north.approve(study)
    wait_for(lambda: set(study.status()["decision"]) == {"approved"}, "the new approval to arrive")
    result = wr.Rounds(study, deadline=PATIENCE).run()
    assert result.round == 3
    assert not result.hospitals.query("hospital == 'north' and round == 3")["problem"].any()
