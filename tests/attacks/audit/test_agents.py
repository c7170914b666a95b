"""The log of real agents: complete after a study and after kill -9, seen by all, and never run from an older copy."""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import researcher as wr
from datasites.audit.export import export
from datasites.audit.verify import verify
from datasites.audit.witness import witnessed
from datasites.wire.witness import Verdict
from tests.attacks.audit.forge import copy, restore
from tests.support.federation import PATIENCE, WARDROUND, Hospital, World, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two hospitals that exchange heads all the time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("WARDROUND_AUDIT_SECONDS", "0.2")
        made = World(tmp_path_factory.mktemp("audit"))
    try:
        yield made.open()
    finally:
        made.close()


def entries(hospital: Hospital, study: wr.Submission) -> list[dict[str, Any]]:
    return hospital.datasite.state.audit.entries(study.digest)


def export_of(hospital: Hospital, folder: Path) -> Path:
    file = folder / f"{hospital.label}.jsonl"
    export(hospital.datasite.identity, hospital.datasite.state.audit, file)
    return file


def told(hospital: Hospital, name: str) -> float:
    """A number of the hospital's, as its monitoring reads it."""
    argv = [*WARDROUND[:-1], "metrics", "--home", str(hospital.home.path)]
    text = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"wardround_{name} "))


def quiet(world: World) -> bool:
    """Whether no log grows over several exchanges of heads."""
    before = [hospital.datasite.state.audit.size for hospital in world.hospitals]
    time.sleep(1.5)
    return before == [hospital.datasite.state.audit.size for hospital in world.hospitals]


def rounds_fit_their_entries(hospital: Hospital, study: wr.Submission) -> None:
    answers = hospital.datasite.state.answers(study.digest)
    recorded = [e for e in entries(hospital, study) if e["kind"] in ("released", "refused", "run_failed")]
    assert [(a.number, a.request, a.outcome) for a in answers] == [
        (e["round"], e["request"], e.get("reason", "released")) for e in recorded
    ]


@pytest.mark.check
def test_a_studys_whole_life_is_in_the_log_and_everybody_has_seen_it(world: World, tmp_path: Path) -> None:
    study = world.approved(rounds=2)
    wr.Rounds(study).run()
    north = world.hospitals[0]
    north.datasite.revoke(study.manifest.job_name, reason="The study is over, says Dr. Who.")
    for hospital in world.hospitals:
        kinds = Counter(entry["kind"] for entry in entries(hospital, study))
        assert kinds["study_received"] == 1
        assert kinds["decided"] == (2 if hospital is north else 1)
        assert kinds["round_received"] == kinds["run_started"] == kinds["released"] == 3
        rounds_fit_their_entries(hospital, study)
        everything = hospital.datasite.state.audit.entries()
        assert [e["kind"] for e in everything[:3]] == ["created", "policy_set", "published"]
        assert "agent_started" in {e["kind"] for e in everything}
        assert next(e for e in everything if e["kind"] == "peer_accepted")["peer"] == "ada@uni.org"
        assert "Dr. Who" not in str(everything)

    def all_seen() -> bool:
        seen = [witnessed(h.datasite.state.audit) for h in world.hospitals]
        newest = {w.head.head.size for [w] in seen if w.head} if all(map(len, seen)) else set()
        return len(newest) == 2 and set(world.researcher.witness()["verdict"]) == {"consistent"}

    wait_for(all_seen, "heads to be exchanged")
    wait_for(lambda: quiet(world), "the logs to come to rest: heads seen are not answered with heads")
    files = [export_of(hospital, tmp_path) for hospital in world.hospitals]
    seen_by_ada = [world.researcher.home.path / "heads" / f"{h.email}.json" for h in world.hospitals]
    for hospital, file, ada in zip(world.hospitals, files, seen_by_ada, strict=True):
        report = verify(file, [*files, ada], hospital.datasite.fingerprint)
        assert report.good, report.findings


def test_kill_9_leaves_no_answer_without_its_entry(world: World, background: Any) -> None:
    rounds, dice, north = 12, random.Random(5), world.hospitals[0]
    study = world.approved(rounds=rounds, config={"pause": 0.05})
    running = background(wr.Rounds(study, deadline=300).run)
    for _ in range(4):
        answered = north.datasite.state.last_round(study.digest)
        wait_for(lambda n=answered: north.datasite.state.last_round(study.digest) > n, "a new answer")
        time.sleep(dice.uniform(0, 0.25))
        north.kill()
        rounds_fit_their_entries(north, study)
        north.start()
    running.result(2 * PATIENCE)
    rounds_fit_their_entries(north, study)
    received = Counter(e["round"] for e in entries(north, study) if e["kind"] == "round_received")
    assert set(received) == set(range(1, rounds + 2))
    north.wait_until_serving()
    wait_for(lambda: set(world.researcher.witness()["verdict"]) == {"consistent"}, "the heads after the crashes")


def test_an_agent_does_not_serve_from_an_older_copy(world: World, tmp_path: Path) -> None:
    north = world.hospitals[0]
    north.stop()
    north.datasite.state.close()
    older = copy(north.home.state, tmp_path / "older.db")
    north.start()
    north.wait_until_serving()
    north.stop()
    newer = copy(north.home.state, tmp_path / "newer.db")
    restore(older, north.home.state)
    argv = [*WARDROUND, "serve", "--home", str(north.home.path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 3
    assert " ".join(done.stderr.split()).startswith("Error: The audit log was rolled back to")
    assert told(north, "audit_head_agrees") == 0  # though no agent is there to tell it
    assert "Traceback" not in done.stderr
    assert not north.home.heartbeat.exists()
    restore(newer, north.home.state)
    north.start()
    north.wait_until_serving()
    wait_for(lambda: set(world.researcher.witness()["verdict"]) == {Verdict.CONSISTENT}, "the log to go on")
    assert told(north, "audit_head_agrees") == 1
