"""A store, or a hospital's own disk, that is full, read-only, away, slow or failing: told in one sentence, nothing is
lost or doubled, and all goes on by itself when it works again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import researcher as wr
from datasites.cli.show import _status
from policies.errors import Unavailable
from tests.crash.model import Memory, replies_problems, site_problems
from tests.support.disks import Disk, small_disk
from tests.support.faulty import Faulty, before
from tests.support.federation import PATIENCE, Hospital, World, expected_state, same_bits, wait_for
from tests.support.s3 import S3, serve_s3

pytestmark = pytest.mark.slow
ROUNDS = 3


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Disk]]:
    """A federation whose folder store is a small disk."""
    root = tmp_path_factory.mktemp("store")
    with small_disk(root / "disk", 24) as disk:
        world = World(root, f"file://{disk.path}/store")
        try:
            yield world.open(), disk
        finally:
            world.close()


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Disk]]:
    """A federation of one hospital, whose home is on a small disk."""
    root = tmp_path_factory.mktemp("homes")
    with small_disk(root / "north", 24) as disk:
        world = World(root, sites=1)
        try:
            yield world.open(), disk
        finally:
            world.close()


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Faulty]]:
    """A federation over S3, behind a proxy."""
    root = tmp_path_factory.mktemp("remote")
    with serve_s3(root / "s3") as server, before(server.endpoint) as proxy, pytest.MonkeyPatch.context() as patch:
        options = S3(proxy.endpoint).options
        patch.setenv("WARDROUND_STORE_OPTIONS", json.dumps(options))
        world = World(root, f"{server.url}/ward", sites=1)
        try:
            yield world.open(store_options=options), proxy
        finally:
            world.close()


def trouble(hospital: Hospital) -> str:
    """What `wardround datasite status` says that keeps the agent from its work."""
    content = _status(hospital.datasite)
    return str(content["trouble"]) if content["agent"] else "not running"


def told(hospital: Hospital, sentence: str) -> None:
    wait_for(lambda: sentence in hospital.log.read_text(), f"the agent to say: {sentence}")
    wait_for(lambda: sentence in trouble(hospital), f"the status to say: {sentence}", pause=0.1)


def goes_on(world: World, study: wr.Submission) -> None:
    """All that is left of the study's rounds is done, with exactly the model it must have, and all is in order."""
    result = wr.Rounds(study, deadline=PATIENCE).run()
    numbers = list(range(1, ROUNDS + 1))
    assert same_bits(result.parameters, expected_state([h.table for h in world.hospitals], numbers))
    for hospital in world.hospitals:
        wait_for(lambda h=hospital: trouble(h) == "", "the status to be good", pause=0.1)
        assert [a.number for a in hospital.datasite.state.answers(study.digest)] == [*numbers, ROUNDS + 1]
        assert "Traceback" not in hospital.log.read_text()
        hospital.wait_until_serving()  # the very process that was started first
        if world.store.startswith("file://"):
            store, memory = Path(world.store.removeprefix("file://")), Memory()
            assert replies_problems(store, memory) == []
            assert site_problems(hospital.datasite, store, memory, world.root / "export.jsonl") == []


def test_a_full_store(kept: tuple[World, Disk]) -> None:
    world, disk = kept
    study = world.approved(rounds=ROUNDS)
    wr.Rounds(study, evaluate=False).run(rounds=1)
    disk.fill()
    with pytest.raises(Unavailable, match="The store could not be written"):
        wr.Rounds(study, deadline=PATIENCE).run(rounds=1)
    disk.make_room()
    goes_on(world, study)


def test_a_store_that_is_full_when_hospitals_answer_and_decide(kept: tuple[World, Disk], background) -> None:
    world, disk = kept
    north = world.hospitals[0]
    study = world.submit(rounds=ROUNDS, config={"pause": 1.0})
    for hospital in world.hospitals:
        hospital.wait_for_submission(study)
    disk.fill()
    for hospital in world.hospitals:
        hospital.approve(study)  # the owner's decision needs no store
    told(north, "The store could not be written")
    disk.make_room()
    study.wait(timeout=PATIENCE)
    running = background(wr.Rounds(study, deadline=PATIENCE).run)
    wait_for(lambda: "fit 1" in north.study_log(study), "the round to run")
    disk.fill()
    wait_for(lambda: north.datasite.state.unposted(study.digest), "an answer that cannot be posted")
    disk.make_room()
    running.result(PATIENCE)
    goes_on(world, study)


def test_a_read_only_store(kept: tuple[World, Disk]) -> None:
    world, disk = kept
    study = world.approved(rounds=ROUNDS)
    wr.Rounds(study, evaluate=False).run(rounds=1)
    disk.read_only(True)
    try:
        with pytest.raises(Unavailable, match="The store could not be written"):
            wr.Rounds(study, deadline=PATIENCE).run(rounds=1)
    finally:
        disk.read_only(False)
    goes_on(world, study)


def test_a_store_that_was_moved_away(kept: tuple[World, Disk]) -> None:
    world, disk = kept
    study = world.approved(rounds=ROUNDS)
    wr.Rounds(study, evaluate=False).run(rounds=1)
    (disk.path / "store").rename(disk.path / "away")
    (disk.path / "store").write_bytes(b"no folder")
    for hospital in world.hospitals:
        told(hospital, "The store could not")
    with pytest.raises(Unavailable):
        wr.Rounds(study, deadline=PATIENCE).run(rounds=1)
    (disk.path / "store").unlink()
    (disk.path / "away").rename(disk.path / "store")
    goes_on(world, study)


def test_an_agent_that_starts_while_the_store_is_away_waits_for_it(kept: tuple[World, Disk]) -> None:
    world, disk = kept
    north = world.hospitals[0]
    study = world.approved(rounds=ROUNDS)
    north.stop()
    disk.read_only(True)
    try:
        north.start()
        told(north, "The store could not be written")
    finally:
        disk.read_only(False)
    goes_on(world, study)


def test_a_hospital_whose_disk_is_full(homes: tuple[World, Disk], background) -> None:
    world, disk = homes
    (north,) = world.hospitals
    study = world.approved(rounds=ROUNDS)
    wr.Rounds(study, evaluate=False).run(rounds=1)
    disk.fill()
    with pytest.raises(wr.RoundFailed, match="No answer within 4 seconds"):
        wr.Rounds(study, deadline=4).run(rounds=1)
    told(north, "disk")
    second = world.submit(rounds=ROUNDS)  # a submission cannot be written either, and arrives later
    running = background(wr.Rounds(study, deadline=PATIENCE).run)
    disk.make_room()
    running.result(PATIENCE)
    goes_on(world, study)
    north.approve(second)
    second.wait(timeout=PATIENCE)
    goes_on(world, second)


def test_a_submission_that_a_full_disk_cut_off_arrives_whole(homes: tuple[World, Disk]) -> None:
    world, disk = homes
    (north,) = world.hospitals
    disk.fill()
    study = world.submit(rounds=ROUNDS)
    told(north, "disk")
    disk.make_room()
    north.approve(study)
    study.wait(timeout=PATIENCE)
    goes_on(world, study)


@pytest.mark.parametrize("mode", ["500", "503", "drop", "cut"])
def test_an_s3_store_that_fails(remote: tuple[World, Faulty], mode: str) -> None:
    world, proxy = remote
    study = world.approved(rounds=ROUNDS)
    wr.Rounds(study, deadline=PATIENCE, evaluate=False).run(rounds=1)
    proxy.mode = mode
    try:
        with pytest.raises(Unavailable, match="The store could not"):
            wr.Rounds(study, deadline=PATIENCE).run(rounds=1)
        told(world.hospitals[0], "The store could not")
    finally:
        proxy.mode = "pass"
    goes_on(world, study)


def test_a_slow_s3_store(remote: tuple[World, Faulty]) -> None:
    world, proxy = remote
    study = world.approved(rounds=ROUNDS)
    proxy.mode = "slow"
    try:
        wr.Rounds(study, deadline=PATIENCE, evaluate=False).run(rounds=1)
    finally:
        proxy.mode = "pass"
    goes_on(world, study)
