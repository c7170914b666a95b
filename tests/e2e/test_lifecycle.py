"""Keys replaced, a disk lost, another release: with real agents, no peer and nothing of the past is lost unnoticed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import researcher as wr
from datasites.audit.entry import Kind
from datasites.audit.export import export
from datasites.audit.verify import verify
from datasites.datasite import Datasite
from datasites.wire import protocol, successions
from policies.errors import Refused
from tests.support.federation import PATIENCE, WARDROUND, Hospital, World, expected_state, same_bits, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("WARDROUND_AUDIT_SECONDS", "0.2")
        patched.setenv("WARDROUND_BACKUP_PASSPHRASE", "a passphrase for backups")
        made = World(tmp_path_factory.mktemp("lifecycle"))
        try:
            yield made.open()
        finally:
            made.close()


def command(hospital: Hospital, *argv: str | Path, code: int = 0) -> str:
    argv = (*WARDROUND, *map(str, argv), "--home", str(hospital.home.path))
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, env=os.environ)
    assert done.returncode == code, done.stderr
    return " ".join((done.stdout + done.stderr).split())


def recorded(hospital: Hospital, kind: Kind) -> list[dict[str, object]]:
    return [entry for entry in hospital.datasite.state.audit.entries() if entry["kind"] == kind]


def test_keys_are_replaced_in_the_middle_of_a_study(world: World, tmp_path: Path) -> None:
    north, south = world.hospitals
    study = world.approved(rounds=4)
    first = north.datasite.fingerprint
    wr.Rounds(study, deadline=PATIENCE).run(rounds=1)
    waiting = world.submit(name="waits")  # nobody has decided on it

    # a hospital
    with pytest.raises(Refused, match="agent is serving"):
        north.datasite.rotate_keys()
    north.stop()
    said = command(north, "rotate-keys", "--yes")
    north.datasite.state.close()
    north.datasite = Datasite(north.home.path)
    second = north.datasite.fingerprint
    assert second != first
    assert second in said
    north.start()
    north.wait_until_serving()
    wr.Rounds(study, deadline=PATIENCE).run(rounds=2)
    assert world.researcher.peers.require(north.email).fingerprint == second
    assert list(world.researcher.key_changes()["fingerprint"]) == [second]
    wait_for(lambda: recorded(south, Kind.PEER_KEYS_REPLACED), "the other hospital to follow")

    # the researcher
    before = world.researcher.fingerprint
    after = world.researcher.rotate_keys()
    assert after != before
    for hospital in world.hospitals:
        wait_for(
            lambda h=hospital: after in {e["fingerprint"] for e in recorded(h, Kind.PEER_KEYS_REPLACED)},
            f"{hospital.label} to follow",
        )
    study = world.researcher.submission(study.digest)
    result = wr.Rounds(study, deadline=PATIENCE).run()
    trained = [answer.number for answer in south.datasite.state.answers(study.digest) if answer.fit]
    assert len(trained) == 4
    assert same_bits(result.parameters, expected_state([h.table for h in world.hospitals], trained))

    # what was on its way, and what comes new
    waiting = world.researcher.submission(waiting.digest)
    for one in (waiting, world.submit(name="comes-new")):
        for hospital in world.hospitals:
            hospital.approve(one)
        one.wait(timeout=PATIENCE)

    # somebody who has kept the first fingerprint, and what others saw, checks the whole history
    for hospital in world.hospitals:
        export(hospital.datasite.identity, hospital.datasite.state.audit, tmp_path / hospital.label)
    seen = world.researcher.witness().set_index("hospital")
    assert set(seen["verdict"]) == {"consistent"}
    others = [tmp_path / "south", world.researcher.home.path / "heads" / f"{north.email}.json"]
    report = verify(tmp_path / "north", others, first)
    assert report.good, report.findings
    assert "replaced once" in report.findings[0].found
    assert verify(tmp_path / "south", [tmp_path / "north"], south.datasite.fingerprint).good


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


def test_who_speaks_another_protocol_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, north = world.researcher, world.hospitals[0]
    theirs = f"{protocol.LEAST} to {protocol.MOST}"
    least, most = protocol.MOST + 1, protocol.MOST + 2
    with monkeypatch.context() as newer:
        newer.setattr(protocol, "LEAST", least)
        newer.setattr(protocol, "MOST", most)
        told = f"do@north.org speaks protocol {theirs}, and this release {least} to {most}"
        with pytest.raises(Refused, match=told) as error:
            world.submit(name="too-new")
        assert "Ask them to upgrade" in error.value.hint
        protocol.publish(ada.store, ada.identity)
    world.submit(name="sent-anyway")  # by a release that says it understands nothing of what hospitals speak
    wait_for(lambda: recorded(north, Kind.STUDY_REFUSED), "the study to be refused")
    protocol.publish(ada.store, ada.identity)


def test_who_is_distrusted_is_a_stranger_again(world: World) -> None:
    north = world.hospitals[0]
    study = world.approved(rounds=1)
    command(north, "distrust", "ada@uni.org", "--yes")
    state = north.datasite.state
    assert state.decision(study.digest).decision.verdict == "revoked"
    result = wr.Rounds(study, min_hospitals=1, deadline=PATIENCE).run(rounds=1)
    assert not result.hospitals.query("hospital == 'north'")["problem"].eq("").any()
    wait_for(lambda: "ada@uni.org" in set(north.datasite.peer_requests()["researcher"]), "her to be a stranger")
    with pytest.raises(Refused, match="does not match"):
        north.datasite.trust("ada@uni.org", "0000 " * 8)
    north.datasite.trust("ada@uni.org", world.researcher.fingerprint)


def test_a_hospital_does_not_serve_when_somebody_else_has_replaced_its_keys(world: World) -> None:
    south = world.hospitals[1]
    south.stop()
    store = world.researcher.store
    thief = successions.succeed(south.datasite.identity, south.datasite.state.audit.size)
    successions.publish(store, thief)
    assert "introduces keys that are not here" in command(south, "serve", code=3)
