"""A datasite's tree as `kill -9` in the middle of Syft's sync leaves it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import researcher as wr
from datasites.agent.recovery import Sent, finish_interrupted_sync
from datasites.datasite import Datasite
from datasites.wire.noted import events
from tests.support.federation import PATIENCE, World, wait_for


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, wr.Submission]]:
    """A world whose first hospital has received a study, and then stopped."""
    world = World(tmp_path_factory.mktemp("recovery"), sites=1)
    try:
        study = world.open().submit()
        world.hospitals[0].wait_for_submission(study)
        wait_for(lambda: state_of(world, study).exists(), "Syft's job state")
        world.hospitals[0].stop()
        yield world, study
    finally:
        world.close()


@pytest.fixture
def stopped(original: tuple[World, wr.Submission]) -> Iterator[tuple[World, wr.Submission]]:
    """The same, whatever the test before did to it."""
    home = original[0].hospitals[0].home.path
    kept = home.with_name("kept")
    shutil.copytree(home, kept)
    yield original
    shutil.rmtree(home)
    kept.rename(home)


def code_of(world: World, study: wr.Submission) -> Path:
    tree = world.hospitals[0].home.syftbox
    return next(p for p in tree.rglob("code") if p.parent.name == study.manifest.job_name)


def state_of(world: World, study: wr.Submission) -> Path:
    home = world.hospitals[0].home
    review = home.syftbox / world.hospitals[0].email / "app_data" / "job" / "review"
    return review / "ada@uni.org" / "v1" / study.manifest.job_name / "state.yaml"


def received(world: World) -> set[str]:
    return {s.digest for s in world.hospitals[0].datasite.office.submissions()}


def test_files_that_were_not_written_yet_are_written(stopped: tuple[World, wr.Submission]) -> None:
    world, study = stopped
    hospital, code = world.hospitals[0], code_of(world, study)
    shutil.rmtree(code)
    (code.parent / "run.sh").write_text("")
    assert received(world) == set()
    finish_interrupted_sync(hospital.home, hospital.email)
    assert received(world) == {study.digest}


def test_an_event_file_that_was_cut_off_is_dropped(stopped: tuple[World, wr.Submission]) -> None:
    world, study = stopped
    hospital = world.hospitals[0]
    half = hospital.home.path / "syftbox-events" / "syfteventsmessagev3_9999999999.0_x.tar.gz"
    half.write_text('{"events": [{"id"')
    finish_interrupted_sync(hospital.home, hospital.email)
    assert not half.exists()
    assert received(world) == {study.digest}


def test_a_job_state_that_was_emptied_does_not_hide_the_study(stopped: tuple[World, wr.Submission]) -> None:
    world, study = stopped
    hospital = world.hospitals[0]
    state_of(world, study).write_text("")
    assert received(world) == set()
    finish_interrupted_sync(hospital.home, hospital.email)
    assert received(world) == {study.digest}


def test_a_sound_tree_stays_as_it_is(stopped: tuple[World, wr.Submission]) -> None:
    world, _ = stopped
    hospital = world.hospitals[0]

    def content() -> dict[Path, bytes]:
        return {p: p.read_bytes() for p in hospital.home.path.rglob("*") if p.is_file()}

    before = content()
    finish_interrupted_sync(hospital.home, hospital.email)
    assert content() == before


def test_what_was_noted_and_may_not_have_been_sent_is_found_anew(stopped: tuple[World, wr.Submission]) -> None:
    world, _ = stopped
    home = world.hospitals[0].home
    sent, folder = Sent(home), home.path / "syftbox-events"
    assert sent.missing() == set()  # the agent ended well
    noted = max(folder.iterdir())
    unsent = noted.with_name("syfteventsmessagev3_9999999999.0_x.tar.gz")
    shutil.copy(noted, unsent)
    assert sent.missing() == {unsent.name}
    paths = [event.path_in_datasite for event in events(folder, {unsent.name})]
    hashes = dict.fromkeys([*paths, Path("other")], "known")
    sent.forget(sent.missing(), hashes)
    assert hashes == {Path("other"): "known"}
    sent.mark()
    assert Sent(home).missing() == set()


def test_a_command_beside_the_agent_opens_the_tree_in_its_turn(stopped: tuple[World, wr.Submission]) -> None:
    """Syft writes its list of known files as it opens: amid another's sync that undoes what it noted."""
    hospital = stopped[0].hospitals[0]
    known = hospital.home.syftbox / ".cache" / "owner_file_hashes.json"
    written = known.stat().st_mtime_ns
    beside = Datasite(hospital.home.path)
    command = threading.Thread(target=beside.peer_requests)
    try:
        with hospital.home.syft_tree():
            command.start()
            command.join(2)
            assert (command.is_alive(), known.stat().st_mtime_ns) == (True, written)
        command.join(PATIENCE)
        assert not command.is_alive()
        assert known.stat().st_mtime_ns > written
    finally:
        beside.state.close()
