"""The bucket policies, judged by an evaluator of our own, against the names that participants really use."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from datasites.catalog.publish import publish_twin
from datasites.cli import app
from datasites.onboarding import bucket_policy, consortium
from datasites.wire import keys
from datasites.wire.dictionary import Dictionary
from datasites.wire.parts import PART_BYTES, folder
from datasites.wire.quiet import quiet
from datasites.wire.store import Store
from tests.support.bucket import Allowed, by_statements, policies
from tests.support.federation import DICTIONARY
from tests.support.parties import befriend, join, submit

NORTH, SOUTH, ADA, EVE = "do@north.org", "do@south.org", "ada@uni.org", "eve@uni.org"
HOSPITALS, RESEARCHERS = (NORTH, SOUTH), (ADA, EVE)
BUCKET, STUDY, PART = "federation", "a" * 64, f"{'d' * 64}/000000"


def seaweedfs() -> Allowed:
    """As its gateway does (`canDo`): an action that ends in * is a beginning."""
    made = bucket_policy.policies("seaweedfs", BUCKET, HOSPITALS, RESEARCHERS)["identities.json"]
    actions = {one["name"]: one["actions"] for one in made["identities"]}
    verbs = {"get": "Read", "put": "Write", "delete": "Write", "list": "List", "folders": "List"}

    def allowed(who: str, what: str, name: str) -> bool:
        assert all(action.endswith("*") for action in actions[who])
        return any(f"{verbs[what]}:{BUCKET}/{name}".startswith(action[:-1]) for action in actions[who])

    return allowed


def by_policy(kind: str) -> Allowed:
    return by_statements(kind, policies(kind, BUCKET, HOSPITALS, RESEARCHERS))


KINDS = {"aws": lambda: by_policy("aws"), "ceph": lambda: by_policy("ceph"), "seaweedfs": seaweedfs}


def boxes(who: str) -> dict[str, str]:
    """One name in each box that belongs to `who` alone, as its writer or its reader, by whose it is to write."""
    mine = {f"{keys.participant(who)}/bundle.json": who, f"{keys.own(who)}/events/1": who}
    mine |= {f"{keys.collections(who)}/twin/data/mock.csv": who}
    if who in HOSPITALS:
        mine |= {f"{keys.box(who, 'inbox', ADA)}/1": ADA, f"{keys.box(who, 'outbox', ADA)}/1": who}
        mine |= {keys.round_down(STUDY, who, 1): ADA, keys.round_up(STUDY, 1, who): who}
        mine |= {keys.gossip_model(STUDY, who, "do@east.org", 1): who}
    return mine


@pytest.fixture(params=KINDS)
def allowed(request: pytest.FixtureRequest) -> Allowed:
    return KINDS[request.param]()


def test_each_writes_deletes_reads_and_lists_its_own(allowed: Allowed) -> None:
    for who in (*HOSPITALS, *RESEARCHERS):
        for name, writer in boxes(who).items():
            for spelt in (name, f"{folder(name)}/{PART}"):
                assert all(allowed(writer, what, spelt) for what in ("put", "get", "delete")), (writer, spelt)
            assert allowed(writer, "list", f"{folder(name)}/"), name
            assert allowed(who, "get", name), name
    for hospital in HOSPITALS:
        assert allowed(hospital, "delete", f"{keys.box(hospital, 'inbox', ADA)}/1")  # what it has read
        assert allowed(ADA, "get", f"{keys.box(hospital, 'outbox', ADA)}/1")
        assert allowed(ADA, "get", keys.round_up(STUDY, 1, hospital))
        assert allowed(hospital, "get", keys.round_down(STUDY, hospital, 1))
        assert allowed(hospital, "list", f"{keys.rounds_down(STUDY, hospital)}/")
    for told in (keys.gossip_model(STUDY, NORTH, SOUTH, 1), keys.gossip_presence(STUDY, NORTH, SOUTH)):
        assert allowed(NORTH, "put", told)
        assert allowed(SOUTH, "get", told)
    for hospital in (NORTH, SOUTH):
        assert allowed(hospital, "list", f"{keys.gossip(STUDY, NORTH, SOUTH)}/")
    assert allowed(NORTH, "list", f"{keys.all_gossip(STUDY, NORTH)}/")


@pytest.mark.parametrize("kind", ["aws", "ceph"])
def test_nobody_writes_deletes_reads_or_lists_what_is_anothers(kind: str) -> None:
    allowed = KINDS[kind]()
    for who, other in itertools.permutations((*HOSPITALS, *RESEARCHERS), 2):
        for name, writer in boxes(other).items():
            reader = other
            for spelt in (name, f"{folder(name)}/{PART}"):
                if who == writer or (who in RESEARCHERS and "/down/" in name):  # see the module: a study's researcher
                    continue
                assert not allowed(who, "put", spelt), (who, spelt)
                assert not allowed(who, "delete", spelt), (who, spelt)
                public = name.startswith("participants/") or (name.startswith("coll/") and who in RESEARCHERS)
                of_two = ADA in name or (who in RESEARCHERS and "/up/" in name)
                if who != reader and not public and not (of_two and who in RESEARCHERS):
                    assert not allowed(who, "get", spelt), (who, spelt)
                    assert not allowed(who, "list", spelt.rpartition("/")[0] + "/"), (who, spelt)
    for who in (*HOSPITALS, *RESEARCHERS):
        for prefix in ("", "own/", "p2p/", "rounds/", f"rounds/{STUDY}/", f"rounds/{STUDY}/down/", "parts/"):
            if who in HOSPITALS or not prefix.endswith("/down/"):
                assert not allowed(who, "list", prefix), (who, prefix)
        assert not allowed(who, "put", "elsewhere/x")
    assert not allowed(EVE, "get", f"{keys.box(NORTH, 'outbox', ADA)}/1")
    assert not allowed(EVE, "list", f"{keys.box(NORTH, 'inbox', ADA)}/")
    assert not allowed(EVE, "put", f"{keys.box(NORTH, 'outbox', ADA)}/.peer")


@pytest.mark.parametrize("kind", ["aws", "ceph"])
@pytest.mark.parametrize(
    ("who", "name"),
    [
        (EVE, f"p2p/{NORTH}/inbox/{ADA}/inbox/{EVE}/1"),
        (EVE, f"parts/p2p/{NORTH}/inbox/{ADA}/x/inbox/{EVE}/{PART}"),
        (NORTH, f"rounds/{STUDY}/down/{SOUTH}/up/1/{NORTH}"),
        (NORTH, f"rounds/{STUDY}/up/000001/{SOUTH}/up/x/{NORTH}"),
        (NORTH, f"rounds/{STUDY}/up/000001/{SOUTH}/{NORTH}"),
        (NORTH, f"parts/rounds/{STUDY}/up/000001/{SOUTH}/up/1/{NORTH}/{PART}"),
        (NORTH, f"gossip/{STUDY}/{SOUTH}/do@east.org/{NORTH}/1"),
    ],
)
def test_a_name_that_ends_as_ones_own_and_lies_in_anothers_box_is_refused(kind: str, who: str, name: str) -> None:
    assert not KINDS[kind]()(who, "put", name)


def test_what_a_store_cannot_hold_that_knows_only_beginnings() -> None:
    """All but rounds/ and, among hospitals, gossip/ is held; there what is signed can be spoiled (see the module)."""
    allowed = seaweedfs()
    for who, other in itertools.permutations((*HOSPITALS, *RESEARCHERS), 2):
        for name, writer in boxes(other).items():
            of_hospitals = name.startswith("gossip/") and who in HOSPITALS
            if not name.startswith("rounds/") and not of_hospitals and who != writer:
                assert not allowed(who, "put", name), (who, name)
                assert not allowed(who, "put", f"{folder(name)}/{PART}"), (who, name)
    assert allowed(NORTH, "put", keys.round_up(STUDY, 1, SOUTH))


def test_all_that_a_hospital_and_a_researcher_do_is_allowed(
    allowed: Allowed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Syft's loop, heads, rounds and parts, each request as it is made."""
    asked: set[tuple[str, str, str]] = set()
    whose: dict[int, str] = {}

    def noting(method: str, what: str, spelt: Callable[[str], str]) -> None:
        real = getattr(Store, method)

        def noted(self: Store, name: str, *args: Any) -> Any:
            asked.add((whose.get(id(self), ""), what, spelt(name)))
            return real(self, name, *args)

        monkeypatch.setattr(Store, method, noted)

    for method, what in (
        ("_get", "get"),
        ("exists", "get"),
        ("modified", "get"),
        ("_put", "put"),
        ("_delete", "delete"),
    ):
        noting(method, what, lambda name: name)
    for method, what in (("_listed", "list"), ("folders", "folders")):
        noting(method, what, lambda prefix: f"{prefix}/")

    url = f"memory:///{tmp_path.name}"
    owner, ada = (join(tmp_path, who, role, url) for who, role in ((NORTH, "owner"), (ADA, "researcher")))
    whose |= {id(owner.store): NORTH, id(ada.store): ADA}
    asked.clear()
    with quiet():
        publish_twin(owner.client, owner.identity, "North", Dictionary.load(DICTIONARY), seed=0)
    befriend(owner, ada)
    submit(ada, owner, "trial")
    for party in (owner, ada, owner, ada):
        party.sync()
    large = np.random.default_rng(0).bytes(PART_BYTES + 1)
    for number, message in ((1, b"small"), (2, large)):
        ada.store.put(keys.round_down(STUDY, NORTH, number), message)
        owner.store.versions(keys.rounds_down(STUDY, NORTH))
        assert owner.store.get(keys.round_down(STUDY, NORTH, number)) == message
        owner.store.put(keys.round_up(STUDY, number, NORTH), message)
        ada.store.names(keys.rounds_up(STUDY, number))
        assert ada.store.get(keys.round_up(STUDY, number, NORTH)) == message
        ada.store.delete(keys.round_down(STUDY, NORTH, number))
    owner.store.delete(keys.round_up(STUDY, 2, NORTH))
    assert {who for who, _, _ in asked} == {NORTH, ADA}
    assert {what for _, what, _ in asked} == {"get", "put", "delete", "list", "folders"}
    assert [request for request in sorted(asked) if not allowed(*request)] == []


def test_the_command_writes_them_for_the_consortiums_participants(tmp_path: Path) -> None:
    place = tmp_path / "consortium"
    consortium.init(place, "Trial", "store.example.org", 9443, {"north": NORTH}, {"ada": ADA}, None)
    for kind, names in (("aws", 2), ("ceph", 1), ("seaweedfs", 1)):
        command = ["federation", "bucket-policy", "--kind", kind, "--folder", str(place)]
        done = CliRunner().invoke(app, command, catch_exceptions=False)
        assert done.exit_code == 0
        assert done.output.count("Made ") == names
    made = place / "bucket-policy"
    assert (made / "identities.json").stat().st_mode & 0o077 == 0
    assert "${aws:username}" in (made / "hospital-policy.json").read_text()
    assert len((made / "hospital-policy.json").read_bytes()) < 6144  # the most that AWS takes, without spaces
    assert NORTH in (made / "bucket-policy.json").read_text()
