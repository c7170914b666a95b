"""What stays at a hospital, and what of it the owner lets go."""

from __future__ import annotations

import json
import subprocess

import pytest

import researcher as wr
from datasites.wire.excerpt import Excerpt
from datasites.wire.reasons import Reason
from tests.support.federation import PATIENCE, WARDROUND, Hospital, World, load_study, wait_for


def command(hospital: Hospital, *arguments: str, answer: str = "") -> str:
    argv = [*WARDROUND, *arguments, "--home", str(hospital.home.path)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, input=answer).stdout


def received(study: wr.Submission) -> list[Excerpt]:
    study.federation.sync()
    return study.excerpts()


@pytest.mark.slow
def test_a_log_stays_at_home_but_for_chosen_lines(world: World) -> None:
    north, south = world.hospitals
    study = world.approved(rounds=2, config={"acts": {"1": {"act": "raise", "rounds": [1]}}})
    wr.Rounds(study, min_hospitals=1).run(rounds=1)
    name = study.manifest.job_name
    assert "     1  fit 1\n     2  Traceback" in command(north, "log", name)
    lines = json.loads(command(north, "log", name, "--json"))
    secret = next(line for line in lines if load_study().leak(north.table) in line["text"])
    assert received(study) == []
    shown = command(north, "release-log", name, "--lines", "1-2", answer="n\n")
    assert "fit 1\nTraceback (most recent call last):\n" in shown
    assert north.datasite.state.excerpts(study.digest) == []  # a no is a no
    north.kill()  # it is recorded without an agent, and sent once there is one
    assert "Excerpt 1 is signed" in command(north, "release-log", name, "--lines", "1-2", "--yes")
    north.start()
    [excerpt] = wait_for(lambda: received(study), "the excerpt", PATIENCE)
    assert (excerpt.hospital, excerpt.number, excerpt.first_line) == (north.email, 1, 1)
    assert excerpt.text == "fit 1\nTraceback (most recent call last):"
    tree = world.researcher.home.syftbox
    assert not any(secret["text"].strip().encode() in p.read_bytes() for p in tree.rglob("*") if p.is_file())
    [path] = north.home.syftbox.rglob("excerpt-*.json")
    assert study.federation.email in path.parts  # the review folder of this study's researcher, and no other
    forged = tree / south.email / path.relative_to(north.home.syftbox / north.email)
    forged.write_bytes(path.read_bytes().replace(b"Traceback", b"All is well"))
    assert study.excerpts() == [excerpt]


def test_a_held_result_is_shown_to_the_owner_and_told_to_the_researcher_in_one_sentence(world: World) -> None:
    south = world.hospitals[1]
    study = world.approved(rounds=1, config={"acts": {"2": {"act": "shape"}}})
    result = wr.Rounds(study, min_hospitals=1).run()
    assert Reason.CONTRACT.text in result.hospitals["problem"].tolist()
    [held] = [one for one in json.loads(command(south, "held", "--json")) if one["study"] == study.digest]
    assert (held["round"], held["task"], held["reason"]) == (1, "fit", "contract")
    assert held["why"] == ["array 'w' is int64(3,), not int64(4,)"]
    kinds = [entry["kind"] for entry in south.datasite.state.audit.entries(study.digest)]
    assert kinds.index("output_held") < kinds.index("refused")
