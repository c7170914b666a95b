"""Training without a centre over real agents and their sandboxes: hospitals that send each other their models through
the store; killed, away for a while, gone for good, and coming later."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import researcher as wr
from datasites.audit.entry import Kind
from datasites.report.folder import report_study
from datasites.state import AnsweredRound
from datasites.wire import keys
from datasites.wire.dictionary import Dictionary
from tests.support.federation import DICTIONARY, PATIENCE, POLICY, Hospital, World, wait_for
from tests.support.inline import InlineCrew

CODE = """
import time
import numpy as np

def initialize(config):
    return {"w": np.linspace(-1, 1, 50, dtype=np.float32), "n": np.zeros((), np.int64)}

def fit(parameters, table, config):
    print(f"fit {config['round']}", flush=True)
    time.sleep(config["pause"] if config["round"] in config.get("in", [config["round"]]) else 0)
    pull = np.float32(table["days"].mean()) + np.arange(50, dtype=np.float32)
    trained = {"w": parameters["w"] + (pull - parameters["w"]) / 4, "n": parameters["n"] + config["round"]}
    return trained, len(table), {"total": float(table["days"].mean())}

def evaluate(parameters, table, config):
    return len(table), {"mean_score": float(parameters["w"].mean())}
"""
ALLOWED = POLICY.read_text().replace("decimals", 'neighbours = ["do@*.org"]\ndecimals')


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("gossip"), sites=3)
    try:
        yield world.open()
    finally:
        world.close()


def submit(ward: World, folder: Path, rounds: int, network: wr.Neighbours, **config: Any) -> wr.Submission:
    """config: how long `fit` takes ("pause"), and in which rounds ("in"; else in all)."""
    (folder / "study.py").write_text(CODE)
    return ward.submit(rounds, code=folder, gossip=network, config=config)


def let_neighbours_read(ward: World, folder: Path) -> None:
    policy = folder / "policy.toml"
    policy.write_text(ALLOWED)
    for hospital in ward.hospitals:
        hospital.datasite.set_policy("stays", policy)


def shared(hospital: Hospital, study: wr.Submission) -> list[dict[str, Any]]:
    """What the audit log tells of messages to neighbours."""
    rows = hospital.datasite.state.audit.rows("SELECT entry FROM audit_entries WHERE kind = ?", Kind.SHARED)
    return [entry for (text,) in rows if (entry := json.loads(text))["study"] == study.digest]


def round_of(hospital: Hospital, study: wr.Submission) -> int:
    return hospital.datasite.state.last_round(study.digest)


def _ended(hospital: Hospital, study: wr.Submission) -> list[AnsweredRound]:
    """Its answers, if the last one says that it takes no further part."""
    answers = hospital.datasite.state.answers(study.digest)
    return answers if answers[-1].outcome == "revoked" else []


@pytest.mark.slow
def test_hospitals_agree_without_a_centre_as_with_one_though_one_is_killed(
    ward: World, tmp_path: Path, background: Callable[..., Future[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = [("east", "south"), ("south", "north")]
    network = wr.Neighbours(chain, deadline=600, report_every=1)
    config = {"pause": 2.0, "in": [2]}  # long enough to be killed in it
    submission = submit(ward, tmp_path, 3, network, **config)
    north, south, east = ward.hospitals
    north.wait_for_submission(submission)
    with pytest.raises(wr.Refused, match=r"does not let these read it: do@east\.org, do@north\.org"):
        north.datasite.approve(submission.manifest.job_name)  # a policy that says nothing of neighbours
    let_neighbours_read(ward, tmp_path)
    for hospital in ward.hospitals:
        hospital.approve(submission)
    packet = north.datasite.packet(submission.manifest.job_name)
    assert (
        "until round 3, this hospital's model would be sent by itself to 1 other hospital (do@south.org)"
        in packet.summary
    )
    assert south.datasite.fingerprint in packet.html()
    submission.wait(timeout=PATIENCE)
    with pytest.raises(wr.InvalidInput, match=r"Use Gossiping\(submission\)"):
        wr.Rounds(submission)

    gossiping = wr.Gossiping(submission, patience=PATIENCE)
    running = background(gossiping.run)
    wait_for(lambda: "fit 2" in south.study_log(submission), "the second round to run")
    south.kill()
    south.start()
    result = running.result(PATIENCE)
    assert "fit 2\nfit 2" in south.study_log(submission)  # it had not been answered, so it was run again

    tables = {hospital.label: hospital.table for hospital in ward.hospitals}
    monkeypatch.setattr("researcher.simulation.simulation.Crew", InlineCrew)
    study = ward.study(3, code=tmp_path, gossip=network, config={**config, "pause": 0})
    with wr.Simulation(study, tables, Dictionary.load(DICTIONARY), processes=1) as simulation:
        reference = wr.Gossiping(simulation).run()
    for name, model in reference.models.items():
        assert model["w"].tobytes() == result.models[name]["w"].tobytes()
        assert model["n"] == result.models[name]["n"]
    np.testing.assert_allclose(result.consensus, reference.consensus, rtol=1e-5)
    assert result.consensus.index.tolist() == [1, 2, 3]
    assert result.per_hospital("mean_score").to_dict() == pytest.approx(reference.per_hospital("mean_score").to_dict())
    assert result.history.hospitals()["problem"].eq("").all()

    for hospital in ward.hospitals:
        told = [(entry["round"], entry["to"]) for entry in shared(hospital, submission)]
        neighbours = submission.manifest.gossip.neighbours(hospital.email)
        assert sorted(told) == [(number, to) for number in (1, 2, 3) for to in neighbours]
        answers = hospital.datasite.state.answers(submission.digest)
        assert [answer.outcome for answer in answers] == ["released"] * 4
    assert report_study(south.datasite, submission.digest, tmp_path / "report").wrong == []
    told = re.sub("<[^>]*>", " ", (tmp_path / "report" / "report.html").read_text())
    assert re.search(r"went after rounds:.*do@east\.org\s+3\s.*do@north\.org\s+3\s", told, re.DOTALL)
    # the researcher can open no message between hospitals
    store, ada = ward.researcher.store, ward.researcher.identity
    assert not store.names(keys.gossip(submission.digest, north.email, east.email))
    raw = store.get(keys.gossip_model(submission.digest, north.email, south.email, 2))
    with pytest.raises(wr.Refused):
        ada.open(ward.researcher.peers.require(north.email), raw)


@pytest.mark.slow
def test_hospitals_leave_and_come_back_and_join_while_the_others_go_on(
    ward: World, tmp_path: Path, background: Callable[..., Future[Any]]
) -> None:
    ward.all_serve()
    rounds, network = 500, wr.Neighbours("ring", deadline=2)
    let_neighbours_read(ward, tmp_path)
    submission = submit(ward, tmp_path, rounds, network, pause=0.3)
    north, south, east = ward.hospitals
    for hospital in (north, south):
        hospital.approve(submission)
    submission.wait(hospitals=2, timeout=PATIENCE)
    gossiping = wr.Gossiping(submission, patience=PATIENCE)
    running = background(gossiping.run)
    wait_for(lambda: round_of(north, submission) and round_of(south, submission), "the first round")
    to_east = ward.researcher.store.names(keys.gossip(submission.digest, south.email, east.email))
    assert [keys.last(name) for name in to_east] == ["presence"]  # no model goes to who has not approved

    south.kill()
    away = round_of(south, submission)
    wait_for(lambda: round_of(north, submission) >= away + 2, "rounds without south")
    south.start()
    east.approve(submission)
    wait_for(lambda: round_of(south, submission) > away, "south to be back")
    wait_for(lambda: round_of(east, submission) > 1, "east to have joined")
    east.datasite.revoke(submission.manifest.job_name, reason="Enough")
    of_east = wait_for(lambda: _ended(east, submission), "east to tell that it has left")
    further = round_of(north, submission) + 2
    wait_for(lambda: round_of(north, submission) >= further, "rounds without east")
    gossiping.stop()
    result = running.result(PATIENCE)

    numbers = [answer.number for answer in south.datasite.state.answers(submission.digest)]
    assert (numbers[0], numbers[-1]) == (1, rounds + 1)
    assert away + 1 not in numbers  # what it was away for was not run later
    assert of_east[0].number > 1
    assert max(entry["round"] for entry in shared(east, submission)) < of_east[-1].number
    assert set(result.models) == {"north", "south"}
    assert further <= result.round < rounds
    # they have learned of each other
    places = {h.label: np.float32(h.table["days"].mean()) + np.arange(50) for h in (north, south)}
    apart = np.linalg.norm(result.models["north"]["w"] - result.models["south"]["w"])
    assert apart < 0.8 * np.linalg.norm(places["north"] - places["south"])
