"""`kill -9`, anywhere: nothing is lost, no answered round is run again, and the model is the same to the bit."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import researcher as wr
from tests.support.federation import PATIENCE, Hospital, World, expected_state, same_bits, wait_for

KILLS = 12
RUN = """
import sys, researcher as wr
federation = wr.connect(sys.argv[1], "ada@uni.org", home=sys.argv[2])
result = wr.Rounds(federation.submission(sys.argv[3]), deadline=300).run()
result.save(sys.argv[4])
"""


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world of few studies: its agents are back quickly."""
    world = World(tmp_path_factory.mktemp("crashes"))
    try:
        yield world.open()
    finally:
        world.close()


@pytest.fixture
def watched(ward: World) -> Iterator[dict[str, set[bytes]]]:
    """Every version that a hospital's answer ever had in the store."""
    seen: dict[str, set[bytes]] = {}
    ending = threading.Event()
    rounds = Path(ward.store.removeprefix("file://")) / "rounds"

    def watch() -> None:
        while not ending.wait(0.01):
            for path in rounds.glob("*/up/*/*@*.org"):
                seen.setdefault(path.relative_to(rounds).as_posix(), set()).add(path.read_bytes())

    thread = threading.Thread(target=watch)
    thread.start()
    yield seen
    ending.set()
    thread.join()


def fits(hospital: Hospital, study: wr.Submission) -> Counter[int]:
    """How often each round was trained, finished or not."""
    return Counter(int(n) for n in re.findall(r"^fit (\d+)$", hospital.study_log(study), re.MULTILINE))


@pytest.mark.slow
def test_agents_killed_at_random_points(ward: World, watched: dict[str, set[bytes]], background) -> None:
    rounds, dice = 40, random.Random(20)
    study = ward.approved(rounds=rounds, config={"pause": 0.05})
    kills: Counter[str] = Counter()
    running = background(wr.Rounds(study, deadline=300).run)
    for kill in range(KILLS):
        hospital = ward.hospitals[kill % 2]
        answered = hospital.datasite.state.last_round(study.digest)
        wait_for(lambda h=hospital, n=answered: h.datasite.state.last_round(study.digest) > n, "a new answer")
        time.sleep(dice.uniform(0, 0.25))  # the random point
        assert not running.done()
        hospital.kill()
        kills[hospital.email] += 1
        hospital.start()
    result = running.result(2 * PATIENCE)
    assert sum(kills.values()) == KILLS
    assert same_bits(result.parameters, expected_state([h.table for h in ward.hospitals], list(range(1, rounds + 1))))
    assert result.rounds["round"].tolist() == list(range(rounds + 1))
    assert not any(result.hospitals["problem"])
    for hospital in ward.hospitals:
        answers = hospital.datasite.state.answers(study.digest)
        assert [a.number for a in answers] == list(range(1, rounds + 2))
        assert hospital.datasite.state.used(study.digest) == (rounds, rounds + 1)
        trained = fits(hospital, study)
        assert set(trained) == set(range(1, rounds + 1))
        assert sum(trained.values()) - rounds <= kills[hospital.email]  # only what a kill cut off is run again
    assert len(watched) >= 2 * rounds
    assert {len(versions) for versions in watched.values()} == {1}  # an answer never changes once it is there


@pytest.mark.slow
def test_a_round_that_a_stopping_agent_cut_off_is_run_after_the_restart(ward: World, background) -> None:
    study = ward.approved(rounds=1, config={"pause": 1.5})
    north = ward.hospitals[0]
    running = background(wr.Rounds(study, deadline=PATIENCE).run)
    wait_for(lambda: fits(north, study), "the round to run")
    north.stop()
    assert north.datasite.state.answers(study.digest) == []
    assert not north.workers(study)
    north.start()
    result = running.result(PATIENCE)
    assert same_bits(result.parameters, expected_state([h.table for h in ward.hospitals], [1]))
    assert fits(north, study) == {1: 2}


@pytest.mark.slow
def test_a_workers_process_ends_with_its_agent(ward: World) -> None:
    study = ward.approved(rounds=2)
    wr.Rounds(study).run(rounds=1)
    north = ward.hospitals[0]
    assert north.workers(study)
    north.kill()
    wait_for(lambda: not north.workers(study), "the worker to end")
    north.start()


@pytest.mark.slow
def test_a_revocation_while_the_agent_is_dead_still_removes_the_tables_view(ward: World, background) -> None:
    north = ward.hospitals[0]
    study = ward.approved(rounds=1, config={"acts": {"1": {"act": "sleep"}}, "seconds": 600})
    running = background(wr.Rounds(study, min_hospitals=1, deadline=PATIENCE).run)
    wait_for(lambda: "fit 1" in north.study_log(study), "the round to run")
    north.kill()
    assert (north.folder(study) / "table.parquet").exists()
    north.datasite.revoke(study.manifest.job_name, reason="Stop.")
    north.start()
    wait_for(lambda: not (north.folder(study) / "table.parquet").exists(), "the table's view to be removed")
    result = running.result(PATIENCE)
    assert "revoked" in " ".join(result.hospitals["problem"])
    assert fits(north, study) == {1: 1}


@pytest.mark.slow
def test_a_researchers_process_killed_inside_and_between_rounds(
    ward: World, watched: dict[str, set[bytes]], tmp_path: Path
) -> None:
    rounds, dice = 12, random.Random(7)
    study = ward.approved(rounds=rounds, config={"pause": 0.1})
    saved = tmp_path / "model.safetensors"
    argv = [sys.executable, "-c", RUN, str(ward.file), str(ward.root / "ada"), study.manifest.name, str(saved)]
    for goal in (2, 5, 8):
        process = subprocess.Popen(argv)
        wait_for(lambda g=goal: study.journal.checkpoint().messages >= g, f"round {goal}")
        time.sleep(dice.uniform(0, 0.3))  # the random point
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert not saved.exists()
    subprocess.run(argv, check=True, timeout=2 * PATIENCE)
    result = wr.Rounds(study).result()
    assert same_bits(result.parameters, expected_state([h.table for h in ward.hospitals], list(range(1, rounds + 1))))
    assert result.rounds["round"].tolist() == list(range(rounds + 1))
    rows = result.hospitals
    assert len(rows) == 2 * (rounds + 1)
    assert not rows.duplicated(["round", "hospital"]).any()
    for hospital in ward.hospitals:
        assert fits(hospital, study) == dict.fromkeys(range(1, rounds + 1), 1)  # nothing was run twice
    assert {len(versions) for versions in watched.values()} == {1}


@pytest.mark.slow
def test_an_agent_killed_while_submissions_arrive(ward: World) -> None:
    north, dice = ward.hospitals[0], random.Random(3)
    studies = []
    for _ in range(4):
        north.wait_until_serving()
        study = ward.submit(rounds=1)
        studies.append(study)
        tree, name = north.home.syftbox / north.email, study.manifest.job_name
        wait_for(lambda t=tree, n=name: list(t.glob(f"app_data/job/inbox/*/v*/{n}")), "the first file", pause=0)
        time.sleep(dice.uniform(0, 0.01))  # the random point, while Syft writes the files one by one
        north.kill()
        north.start()
    for study in studies:
        for hospital in ward.hospitals:
            hospital.approve(study)
        study.wait(timeout=PATIENCE)
        assert wr.Rounds(study).run().round == 1
