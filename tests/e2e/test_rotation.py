"""Keys replaced at a hospital and at a researcher, with real agents: no peer and nothing of the past is lost."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import researcher as wr
from datasites.audit.entry import Kind
from datasites.audit.export import export
from datasites.audit.verify import verify
from datasites.wire import successions
from policies.errors import Refused
from tests.support.federation import PATIENCE, WARDROUND, Hospital, World, expected_state, same_bits, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("WARDROUND_AUDIT_SECONDS", "0.2")
        made = World(tmp_path_factory.mktemp("rotation"))
    try:
        yield made.open()
    finally:
        made.close()


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
    argv = [*WARDROUND, "rotate-keys", "--yes", "--home", str(north.home.path)]
    said = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
    north.datasite.state.close()
    north.datasite = type(north.datasite)(north.home.path)
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


def test_who_is_distrusted_is_a_stranger_again(world: World) -> None:
    north = world.hospitals[0]
    study = world.approved(rounds=1)
    argv = [*WARDROUND, "distrust", "ada@uni.org", "--yes", "--home", str(north.home.path)]
    subprocess.run(argv, capture_output=True, text=True, check=True, timeout=PATIENCE)
    state = north.datasite.state
    assert state.decision(study.digest).decision.verdict == "revoked"
    result = wr.Rounds(study, min_hospitals=1, deadline=5).run(rounds=1)
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
    argv = [*WARDROUND, "serve", "--home", str(south.home.path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 3
    assert "introduces keys that" in done.stderr
