"""A hospital among neighbours, one of which is hostile, over a store that is hostile too: what does not belong counts
as absent, nothing goes to who has no right to it, and of one round there is one model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasites.agent.gossip.diary import Begun, Diary
from datasites.agent.gossip.session import GossipSession
from datasites.agent.kept import Kept
from datasites.audit.entry import Kind
from datasites.audit.log import AuditLog
from datasites.wire import keys
from datasites.wire.arrays import Arrays
from datasites.wire.gossip.messages import Model, Order, Presence, decode_model, decode_presence, encode, most_bytes
from datasites.wire.gossip.network import Network
from datasites.wire.identity import Identity, PublicIdentity
from datasites.wire.outputs import ArraySpec, OutputContract
from datasites.wire.quarantine import notes
from datasites.wire.rounds import RoundRequest, encode_request
from datasites.wire.store import Store
from tests.attacks.outputs.ward import EMAIL, POLICY, Ward

CODE = b"""
import numpy as np

def fit(parameters, table, config):
    return {"w": parameters["w"] + np.float32(config["round"] / 16)}, len(table), {"loss": 0.25}

def evaluate(parameters, table, config):
    return len(table), {}
"""
CONTRACT = OutputContract(
    parameters={"w": ArraySpec(shape=(4,), dtype="float32")},
    fit_metrics=("loss",),
    evaluate_metrics=(),
    evaluate_arrays={},
)
HONEST, HOSTILE, SILENT = "do@a.org", "do@z.org", "do@y.org"
START = {"w": np.zeros(4, np.float32)}
ALLOWED = POLICY.replace("[release]", '[release]\nneighbours = ["do@*.org"]')
THEIRS = {"w": np.full(4, 30, np.float32)}


class Neighbourhood:
    """One real hospital, in the middle of three of which there are the keys and the boxes alone."""

    def __init__(
        self, folder: Path, policy: str = ALLOWED, contract: OutputContract = CONTRACT, rounds: int = 1000
    ) -> None:
        names = (HONEST, HOSTILE, SILENT, "eve@evil.org")
        self.people = {n: Identity.create(n, folder / f"{n}.json") for n in names}
        self.eve = self.people["eve@evil.org"]
        self.ward = Ward(folder / "ward", policy, rounds, CODE, contract, gossip=self._network)
        self.me = Identity.load(EMAIL, self.ward.home.keys)
        self.store = Store(f"file://{folder}/store")
        self.study = self.ward.manifest.digest
        self.published: dict[str, PublicIdentity] = {n: who.public for n, who in self.people.items()}
        self.restart()

    def _network(self, me: Identity) -> Network:
        hospitals = {HONEST: self.people[HONEST], HOSTILE: self.people[HOSTILE], SILENT: self.people[SILENT]}
        links = tuple(sorted((min(one, EMAIL), max(one, EMAIL)) for one in hospitals))
        fingerprints = {n: who.public.fingerprint for n, who in {**hospitals, EMAIL: me}.items()}
        return Network(hospitals=fingerprints, links=links, deadline=3600)

    def restart(self) -> None:
        """As after kill -9: another session, with what is on the disk."""
        manifest, state, bench = self.ward.manifest, self.ward.state, self.ward.bench
        assert manifest.gossip
        researcher = self.eve.public
        told = self.me, researcher, self.store, state, bench, 0.1
        self.session = GossipSession(*told, network=manifest.gossip, keys_of=self.published.get)

    # what others do

    def order(self, signer: Identity | None = None, model: Arrays = START) -> None:
        order = Order(study=self.study, hospital=EMAIL, order="start", expected=(HONEST, HOSTILE))
        sealed = (signer or self.eve).seal(self.me.public, encode(order, model))
        self.store.put(keys.round_down(self.study, EMAIL, 1), sealed)

    def appear(self, who: str, present: bool = True, serial: int = 1, signer: Identity | None = None) -> bytes:
        word = Presence(study=self.study, sender=who, hospital=EMAIL, serial=serial, present=present)
        sealed = (signer or self.people[who]).seal(self.me.public, encode(word))
        self.store.put(keys.gossip_presence(self.study, who, EMAIL), sealed)
        return sealed

    def sealed(
        self, who: str, number: int, model: Arrays = THEIRS, signer: Identity | None = None, **other: str
    ) -> bytes:
        said = {"study": self.study, "sender": who, "hospital": EMAIL, **other}
        message = Model(**said, number=number, trained=True)
        return (signer or self.people[who]).seal(self.me.public, encode(message, model))

    def put(self, who: str, number: int, sealed: bytes) -> None:
        self.store.put(keys.gossip_model(self.study, who, EMAIL, number), sealed)

    # what this hospital does

    def trained(self) -> int:
        """Trains the next round, and sends it; its number."""
        begun = self.session._diary.begun()
        before = begun.number if begun else 0
        while self.session._look():
            pass
        begun = self.session._diary.begun()
        assert begun
        assert begun.number == before or before == 0
        return begun.number

    def over(self) -> Begun:
        """After the deadline of this round: what the next one begins with."""
        assert self.session._waits_since is not None
        self.session._waits_since -= 7200
        self.session._look()
        begun = self.session._diary.begun()
        assert begun
        return begun

    def a_round(self) -> None:
        """Trains, sends, and goes on."""
        self.session._look()
        self.session._look()
        self.over()

    def aside(self, key: str = "") -> list[str]:
        """Why messages were put aside, of all or of this name."""
        return [note["why"] for note in notes(self.ward.home.quarantine) if key in ("", note["object"])]

    def sent_to(self, who: str, number: int) -> bytes | None:
        return self.store.get(keys.gossip_model(self.study, EMAIL, who, number))

    def shared(self) -> list[tuple[int, str]]:
        rows = self.ward.state.audit.rows("SELECT entry FROM audit_entries WHERE kind = ?", Kind.SHARED)
        return [(entry["round"], entry["to"]) for (text,) in rows if (entry := json.loads(text))]


@pytest.fixture(scope="module")
def _started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neighbourhood]:
    here = Neighbourhood(tmp_path_factory.mktemp("neighbours"))
    here.order()
    for who in (HONEST, HOSTILE):
        here.appear(who)
    try:
        yield here
    finally:
        here.ward.close()


@pytest.fixture
def here(_started: Neighbourhood) -> Neighbourhood:
    """Every test is one round, or a few, of one study."""
    return _started


def own(begun: Begun, number: int) -> np.ndarray:
    return begun.model["w"] + np.float32(number / 16)


def test_what_does_not_belong_counts_as_absent(here: Neighbourhood) -> None:
    assert here.trained() == 1
    genuine = here.sealed(HOSTILE, 1)
    foreign = Identity.create(HOSTILE, here.ward.home.path / "foreign.json")
    attacks = {
        "for another study": (here.sealed(HOSTILE, 1, study="b" * 64), "is not for this round of this study"),
        "for another hospital": (here.sealed(HOSTILE, 1, hospital=SILENT), "is not for this round"),
        "in another's name": (here.sealed(HOSTILE, 1, sender=HONEST), "is not for this round"),
        "NaN": (here.sealed(HOSTILE, 1, {"w": np.full(4, np.nan, np.float32)}), "holds NaN or infinity"),
        "another shape": (here.sealed(HOSTILE, 1, {"w": np.zeros(5, np.float32)}), "holds no model of this study"),
        "nothing": (here.sealed(HOSTILE, 1, {}), "holds no model of this study"),
        "huge": (b"\0" * (most_bytes(here.ward.manifest) + 1), "at most"),
        "rubbish": (b"not an envelope", "not signed by them for us"),
        "of other keys": (here.sealed(HOSTILE, 1, signer=foreign), "not signed by them for us"),
        "of the researcher": (here.sealed(HOSTILE, 1, signer=here.eve), "not signed by them for us"),
        "a presence": (here.appear(HOSTILE), "is not the kind of message"),
    }
    begun = here.session._diary.begun()
    assert begun
    for name, (sealed, why) in attacks.items():
        before = len(here.aside())
        here.put(HOSTILE, 1, sealed)
        here.session._look()
        assert len(here.aside()) == before + 1, name
        assert any(why in one for one in here.aside()), name
    here.put(HONEST, 1, here.sealed(HONEST, 1))
    after = here.over()
    assert after.heard == (HONEST,)
    # with three neighbours each counts a quarter; the weights of those that are missing stay here
    np.testing.assert_allclose(after.model["w"], 0.25 * THEIRS["w"] + 0.75 * own(begun, 1), rtol=1e-6)

    # what was true for round 1 is not for round 2, wherever the store puts it
    assert here.trained() == 2
    here.put(HOSTILE, 2, genuine)
    here.put(HONEST, 2, here.sealed(HONEST, 2))
    here.session._look()
    assert here.aside(keys.gossip_model(here.study, HOSTILE, EMAIL, 2)) == [
        "is not for this round of this study at this hospital"
    ]
    assert here.over().heard == (HONEST,)


def test_the_first_model_of_a_round_counts_and_a_round_far_ahead_is_not_followed(here: Neighbourhood) -> None:
    number = here.trained()
    begun = here.session._diary.begun()
    assert begun
    here.put(HOSTILE, number, here.sealed(HOSTILE, number))
    here.session._look()
    here.put(HOSTILE, number, here.sealed(HOSTILE, number, {"w": np.full(4, 1e6, np.float32)}))
    here.put(HOSTILE, 999, here.sealed(HOSTILE, 999))  # of 1,000 rounds
    here.put(HONEST, number, here.sealed(HONEST, number))
    here.session._look()
    after = here.session._diary.begun()
    assert after
    assert after.number == number + 1
    np.testing.assert_allclose(after.model["w"], 0.5 * THEIRS["w"] + 0.5 * own(begun, number), rtol=1e-6)
    assert here.trained() == number + 1
    assert here.over().number == number + 2


def test_nothing_goes_to_who_has_not_said_that_it_takes_part(here: Neighbourhood) -> None:
    number = here.trained()
    assert here.sent_to(HONEST, number)
    assert here.sent_to(SILENT, number) is None
    here.appear(SILENT, signer=here.eve)  # the researcher says so, or another hospital
    here.session._look()
    here.appear(SILENT, signer=here.people[HOSTILE])
    here.session._look()
    assert here.sent_to(SILENT, number) is None
    assert SILENT not in {to for _, to in here.shared()}

    # the store shows other keys for it, whose owner says that it takes part
    impostor = Identity.create(SILENT, here.ward.home.path / "impostor.json")
    here.published[SILENT] = impostor.public
    here.restart()
    here.appear(SILENT, signer=impostor)
    here.session._look()
    assert here.sent_to(SILENT, number) is None
    here.published[SILENT] = here.people[SILENT].public

    # one that has left is sent nothing more, though the store shows its older word again
    older = here.appear(SILENT, serial=1)
    here.session._look()
    assert here.sent_to(SILENT, number)
    here.appear(SILENT, present=False, serial=2)
    here.session._look()
    here.store.put(keys.gossip_presence(here.study, SILENT, EMAIL), older)
    here.session._look()
    aside = here.aside(keys.gossip_presence(here.study, SILENT, EMAIL))
    assert "is older than what the hospital has said since" in aside
    here.over()
    number = here.trained()
    assert here.sent_to(SILENT, number) is None
    here.over()


def test_a_model_is_sent_once_and_the_same_after_a_crash(here: Neighbourhood) -> None:
    number = here.trained()
    sent = here.sent_to(HONEST, number)
    assert sent
    message, model = decode_model(here.people[HONEST].open(here.me.public, sent), 10**6)
    assert (message.number, message.hospital) == (number, HONEST)
    begun = here.session._diary.begun()
    assert begun
    np.testing.assert_array_equal(model["w"], own(begun, number))
    here.store.delete(keys.gossip_model(here.study, EMAIL, HONEST, number))  # the crash came before it was there
    here.restart()
    here.session._look()
    assert here.sent_to(HONEST, number) == sent
    assert here.shared().count((number, HONEST)) == 1
    assert len([a for a in here.ward.state.answers(here.study) if a.number == number]) == 1
    here.over()


class Killed(BaseException):
    """In the place of kill -9: nobody handles it."""


CRASHES = {
    "the model is on the disk": (Diary, "keep_trained"),
    "its answer is recorded": (Kept, "commit"),
    "its report is posted": (GossipSession, "_post"),
    "it is in the audit log": (AuditLog, "record_once"),
    "it is at a neighbour": (Store, "put"),
    "the next round has begun": (Diary, "begin"),
}


@pytest.mark.parametrize("point", CRASHES)
def test_a_crash_at_any_point_leads_to_the_same_model_or_to_a_first_one(
    here: Neighbourhood, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.trained()
    here.over()
    begun = here.session._diary.begun()
    assert begun
    owner, name = CRASHES[point]
    real = getattr(owner, name)
    seen: dict[str, bytes] = {}

    def cut(self: object, *given: Any, **named: Any) -> Any:
        done = real(self, *given, **named)
        if owner is Store and not given[0].startswith("gossip/"):
            return done
        seen.update({given[0]: given[1]} if owner is Store else {})
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, cut)
        with pytest.raises(Killed):
            here.a_round()
    here.restart()
    if point == "the next round has begun":
        assert here.session._diary.begun().number == begun.number + 1
    else:
        assert here.trained() == begun.number
    answers = [a for a in here.ward.state.answers(here.study) if a.number == begun.number]
    assert [answer.outcome for answer in answers] == ["released"]
    for neighbour in (HONEST, HOSTILE):
        sent = here.sent_to(neighbour, begun.number)
        _, model = decode_model(here.people[neighbour].open(here.me.public, sent or b""), 10**6)
        np.testing.assert_array_equal(model["w"], own(begun, begun.number))
        assert here.shared().count((begun.number, neighbour)) == 1
        assert seen.get(keys.gossip_model(here.study, EMAIL, neighbour, begun.number), sent) == sent


def test_only_the_first_start_counts_and_a_researchers_round_is_no_way_to_a_model(here: Neighbourhood) -> None:
    number = here.trained()
    asked = RoundRequest(study=here.study, number=number + 1, hospital=EMAIL, evaluate=False, fit=True)
    chosen = {"w": np.full(4, 7, np.float32)}
    sealed = here.eve.seal(here.me.public, encode_request(asked, chosen))
    here.store.put(keys.round_down(here.study, EMAIL, number + 1), sealed)
    here.store.put(keys.round_down(here.study, EMAIL, 2), sealed)  # where the stop belongs
    here.order(model=chosen)
    before = here.session._diary.begun()
    assert before
    assert here.trained() == number
    assert here.aside(keys.round_down(here.study, EMAIL, 2)) == ["is not the kind of message that belongs here"]
    after = here.over()
    np.testing.assert_array_equal(after.model["w"], own(before, number))
    assert here.trained() == number + 1
    here.over()


def test_a_policy_that_no_longer_lets_neighbours_read_it_stops_it_at_once(here: Neighbourhood) -> None:
    number = here.trained()
    here.ward.policy(POLICY)
    while here.session._look():
        pass
    last = here.ward.state.answers(here.study)[-1]
    assert (last.number, last.outcome) == (number + 1, "policy")
    assert here.sent_to(HONEST, number + 1) is None  # nor anything else of it
    raw = here.store.get(keys.gossip_presence(here.study, EMAIL, HONEST))
    assert not decode_presence(here.people[HONEST].open(here.me.public, raw or b"")).present
    here.ward.policy(ALLOWED)


def test_a_start_that_is_not_the_researchers_starts_nothing(tmp_path: Path) -> None:
    here = Neighbourhood(tmp_path)
    here.order(signer=here.people[HOSTILE])
    here.session._look()
    here.order(model={"w": np.full(4, np.inf, np.float32)})
    here.session._look()
    assert len(here.aside()) == 2
    assert here.session._diary.begun() is None
    here.order()
    here.session._look()
    assert here.session._diary.begun() is not None
    here.ward.close()


def test_a_round_is_charged_once_whoever_is_sent_it_and_noise_covers_what_neighbours_get(tmp_path: Path) -> None:
    covered = f"{ALLOWED}gate_noise = 30\n[budget]\nepsilon_per_study = 99\nepsilon_total = 99\ndelta = 1e-6\n"
    here = Neighbourhood(tmp_path, covered, CONTRACT.model_copy(update={"fit_metrics": ()}), rounds=3)
    here.order()
    for who in (HONEST, HOSTILE):
        here.appear(who)
    for number in (1, 2):
        assert here.trained() == number
        sent = [here.sent_to(who, number) for who in (HONEST, HOSTILE)]
        told = [
            decode_model(here.people[who].open(here.me.public, raw or b""), 10**6)[1]["w"]
            for who, raw in zip((HONEST, HOSTILE), sent, strict=True)
        ]
        np.testing.assert_array_equal(*told)  # one draw of noise: two would average out
        begun = here.session._diary.begun()
        assert begun
        assert np.abs(told[0] - own(begun, number)).max() > 1  # of 300
        here.restart()
        here.session._look()
        assert here.sent_to(HONEST, number) == sent[0]
        here.over()
    steps = [row.step for row in here.ward.state.ledger.rows()]
    assert steps == ["reserved", "committed"] * 2
    here.ward.close()
