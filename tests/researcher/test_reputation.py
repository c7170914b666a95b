"""The record of reputation, between a researcher and real datasites' homes that share a store."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import researcher as wr
from datasites import cli
from datasites.datasite import Datasite
from datasites.wire import reputation
from datasites.wire.dictionary import Dictionary
from datasites.wire.home import Home
from datasites.wire.identity import Identity
from datasites.wire.peers import ACCEPTED, PinnedPeers
from datasites.wire.store import Store
from researcher.strategies import Update
from tests.support.federation import DICTIONARY

ADA = "ada@uni.org"
NORTH, SOUTH, EAST, WEST = (f"do@{name}.org" for name in ("north", "south", "east", "west"))


@dataclass
class Federation:
    """What the record needs of one."""

    home: Home
    identity: Identity
    peers: PinnedPeers
    store: Store
    emails: list[str]

    def label(self, email: str) -> str:
        return email.split("@")[1].split(".")[0]


@dataclass
class Asked:
    manifest: Any


@pytest.fixture
def sites(tmp_path: Path) -> dict[str, Path]:
    """The homes of four hospitals that know Ada."""
    for email in (NORTH, SOUTH, EAST, WEST):
        Datasite.create(tmp_path / email, email, f"file://{tmp_path}/store").state.close()
    return {email: tmp_path / email for email in (NORTH, SOUTH, EAST, WEST)}


@pytest.fixture
def federation(tmp_path: Path, sites: dict[str, Path]) -> Federation:
    home = Home(tmp_path / "ada")
    home.create()
    ada, peers = Identity.create(ADA, home.keys), PinnedPeers(home.peers)
    for email, path in sites.items():
        site = Datasite(path)
        peers.update(email, ACCEPTED, site.identity.public.document)
        PinnedPeers(site.home.peers).update(ADA, ACCEPTED, ada.public.document)
        site.state.close()
    return Federation(home, ada, peers, Store(f"file://{tmp_path}/store"), list(sites))


def _asked(name: str) -> Asked:
    asked = wr.PrivateStatistics(name, "Test", "stays", ["days"], noise_multiplier=1.0)
    dictionary = Dictionary.load(DICTIONARY)
    return Asked(asked.manifest(ADA, dictionary, asked.contract(dictionary)))


def _watch(lazy: str | None = None, copier: str | None = None) -> wr.Watch:
    """Four rounds in which one hospital sends the state back, or another one's update."""
    watch, state = wr.Watch(), np.zeros(50)
    rng = np.random.default_rng(1)
    for _ in range(4):
        watch.begin({"w": state})
        updates = {h: state + 1 + 0.5 * rng.normal(size=50) for h in (NORTH, SOUTH, EAST, WEST)}
        if lazy:
            updates[lazy] = state.copy()
        if copier:
            updates[copier] = updates[NORTH]
        for hospital, weights in updates.items():
            watch.see(Update(hospital, {"w": weights}, 10))
        state = np.mean(list(updates.values()), axis=0)
    return watch


def _look(home: Path) -> Any:
    with Datasite.opened(home) as site:
        [standing] = site.reputation.look()
        return standing


def test_each_hospital_sees_its_own_lines_and_contests_them(federation, sites: dict[str, Path]) -> None:
    record = wr.Reputation(federation)
    record.note(_asked("one"), _watch(lazy=EAST))
    record.note(_asked("one"), _watch(lazy=EAST))  # says nothing new
    record.note(_asked("two"), _watch(copier=WEST))
    east, north = _look(sites[EAST]), _look(sites[NORTH])
    assert [(one.kind, one.name) for one in east.remarks] == [("zero", "one"), ("clear", "two")]
    assert [one.kind for one in north.remarks] == ["clear", "copied"]
    assert {one.hospital for one in (*east.remarks, *north.remarks)} == {EAST, NORTH}
    assert not any("west" in one.reason for one in north.remarks)
    assert east.problem == north.problem == ""
    with Datasite.opened(sites[EAST]) as site:
        site.reputation.contest(ADA, 1, "Our ward had no new patients in these weeks.")
        with pytest.raises(wr.InvalidInput, match="no line 7"):
            site.reputation.contest(ADA, 7, "What?")
        kinds = [entry["kind"] for entry in site.state.audit.entries()]
    assert kinds[-2:] == ["reputation_seen", "reputation_contested"]
    table = record.table().set_index(["hospital", "line"])
    assert table.loc[("east", 1), "contested"] == "Our ward had no new patients in these weeks."
    assert (table.drop(("east", 1))["contested"] == "").all()
    assert record.standing().loc["east"].tolist() == [2, 1, 1]
    assert record.standing().loc["south"].tolist() == [2, 0, 0]


def test_a_record_that_is_rewritten_or_shortened_is_found(federation, sites: dict[str, Path]) -> None:
    record = wr.Reputation(federation)
    record.note(_asked("one"), _watch(lazy=EAST))
    record.note(_asked("two"), _watch())
    assert _look(sites[EAST]).problem == ""
    path = federation.home.path / "reputation" / f"{EAST}.json"
    lines = reputation.load_remarks(path.read_bytes(), federation.identity.public, EAST)
    path.write_bytes(reputation.dump(lines[:1]))
    record.send()
    assert "taken back" in _look(sites[EAST]).problem
    # the researcher signs another history of the same length
    first = lines[0].said.model_copy(update={"kind": "noise"})
    second = lines[1].said.model_copy(update={"before": first.digest})
    signed = [reputation.sign_remark(one, federation.identity) for one in (first, second)]
    path.write_bytes(reputation.dump(signed))
    record.send()
    assert "was changed" in _look(sites[EAST]).problem
    seen = (sites[EAST] / "reputation" / f"{ADA}.seen.json").read_bytes()  # the proof: both are signed
    assert reputation.load_remarks(seen, federation.identity.public, EAST) == lines
    path.write_bytes(reputation.dump(lines))
    record.send()
    assert _look(sites[EAST]).problem == ""


def test_only_the_two_of_them_can_write_it(federation, sites: dict[str, Path], tmp_path: Path) -> None:
    record = wr.Reputation(federation)
    record.note(_asked("one"), _watch(lazy=EAST))
    mine = federation.store.get(reputation.remarks_key(ADA, EAST))
    federation.store.put(reputation.remarks_key(ADA, SOUTH), mine or b"")  # what is another hospital's
    assert "not signed by them for us" in _look(sites[SOUTH]).problem
    eve = Identity.create(ADA, tmp_path / "eve.json")
    with Datasite.opened(sites[NORTH]) as site:
        federation.store.put(reputation.remarks_key(ADA, NORTH), eve.seal(site.identity.public, b"[]"))
    assert "not signed by them for us" in _look(sites[NORTH]).problem
    federation.store.put(reputation.contests_key(EAST, ADA), b"rubbish")
    assert (record.table()["contested"] == "").all()
    path = federation.home.path / "reputation" / f"{EAST}.json"
    path.write_bytes(path.read_bytes().replace(b'"zero"', b'"noise"'))
    with pytest.raises(wr.InvalidInput, match="damaged"):
        record.table()


def test_rounds_of_two_hospitals_say_nothing(federation) -> None:
    watch = wr.Watch()
    watch.begin({"w": np.zeros(2)})
    for hospital in (NORTH, SOUTH):
        watch.see(Update(hospital, {"w": np.ones(2)}, 10))
    with pytest.raises(wr.InvalidInput, match="three hospitals"):
        wr.Reputation(federation).note(_asked("one"), watch)


def test_the_commands(
    federation, sites: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: object) -> tuple[int, str]:
        argv = ["wardround", "datasite", *map(str, arguments), "--home", str(sites[EAST])]
        monkeypatch.setattr(sys, "argv", argv)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    monkeypatch.setenv("COLUMNS", "200")
    assert "No researcher has said anything" in run("reputation")[1]
    wr.Reputation(federation).note(_asked("one"), _watch(lazy=EAST))
    assert "it did not train" in run("reputation")[1]
    assert run("contest", ADA, 1, "We were away.")[0] == 0
    [told] = json.loads(run("reputation", "--json")[1])
    assert told["lines"][0]["contested"] == "We were away."
    code, said = run("contest", "eve@uni.org", 1, "We were away.")
    assert (code, "has no line 1" in said) == (1, True)
