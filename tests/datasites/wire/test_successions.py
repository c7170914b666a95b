from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from datasites.wire import keys, successions
from datasites.wire.heads import Head, SignedHead
from datasites.wire.identity import Identity
from datasites.wire.peers import ACCEPTED, PinnedPeers
from datasites.wire.store import Store
from datasites.wire.successions import KeysForked, chain, publish, shown, succeed
from policies.errors import Refused

WARD = "do@ward.org"


@pytest.fixture(scope="module")
def generations(tmp_path_factory: pytest.TempPathFactory) -> list[Identity]:
    """A ward's keys, replaced twice: after 10 and after 20 entries of its log."""
    first = Identity.create(WARD, tmp_path_factory.mktemp("ward") / "identity.json")
    second = succeed(first, 10)
    return [first, second, succeed(second, 20)]


@pytest.fixture
def store() -> Store:
    return Store(f"memory:///{uuid.uuid4().hex}")


@pytest.fixture
def peers(tmp_path: Path, generations: list[Identity]) -> PinnedPeers:
    """Somebody who knows the ward's first keys."""
    pinned = PinnedPeers(tmp_path / "peers.json")
    pinned.update(WARD, ACCEPTED, generations[0].public.document)
    return pinned


def follow(peers: PinnedPeers, store: Store) -> int:
    return len(peers.follow(WARD, shown(store, WARD)))


def put(store: Store, *statements: successions.SignedSuccession) -> None:
    body = json.dumps([one.model_dump(mode="json") for one in statements]).encode()
    store.put(f"{keys.participant(WARD)}/successions.json", body)


def test_a_peer_follows_from_the_keys_it_knows_to_the_newest(
    generations: list[Identity], peers: PinnedPeers, store: Store
) -> None:
    publish(store, generations[2])
    assert follow(peers, store) == 2
    assert peers.require(WARD).fingerprint == generations[2].public.fingerprint
    assert [one.new.fingerprint for one in peers.chain(WARD)] == [g.public.fingerprint for g in generations[1:]]
    assert follow(peers, store) == 0


def test_what_is_saved_is_loaded_with_all_keys(generations: list[Identity], ada: Identity, tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    generations[2].save(path, None)
    loaded = Identity.load(WARD, path)
    sealed_before = ada.seal(generations[0].public, b"for the first keys")
    assert loaded.open(ada.public, sealed_before) == b"for the first keys"
    assert loaded.public == generations[2].public
    assert chain(loaded) == chain(generations[2])


def test_earlier_keys_speak_for_records_and_for_no_message(generations: list[Identity], ada: Identity) -> None:
    first, _, third = generations
    decision = first.sign("decision", b"yes")
    assert third.public.signed("decision", b"yes", decision)
    assert not third.public.verify("decision", b"yes", decision)
    with pytest.raises(Refused):
        ada.open(third.public, first.seal(ada.public, b"run this"))


def test_earlier_keys_sign_no_log_that_grew_after_them(generations: list[Identity]) -> None:
    from datetime import UTC, datetime

    first, second, third = generations

    def head(size: int, by: Identity) -> bool:
        at = Head(hospital=WARD, size=size, root="0" * 64, at=datetime.now(UTC))
        return SignedHead.sign(at, by).verified(third.public)

    assert head(10, first)
    assert not head(11, first), "whoever finds the retired keys could rewrite the newest history"
    assert head(20, second)
    assert not head(21, second)
    assert head(99, third)


def test_what_a_ward_kept_for_itself_is_sealed_anew(generations: list[Identity]) -> None:
    first, _, third = generations
    renewed = third.renewed(first.seal(first.public, b"events"))
    assert third.open(third.public, renewed, retired=False) == b"events"
    assert third.renewed(renewed) is renewed
    assert third.renewed(b"rubbish") == b"rubbish"


@pytest.mark.parametrize(
    "damage",
    [
        {"by_old": "A" * 86},
        {"by_new": "A" * 86},
        {"succession": {"number": 2}},
        {"succession": {"who": "do@other.org"}},
        {"succession": {"log_size": 11}},
        {"succession": {"version": 2}},
        {"succession": {"more": 1}},
        {"more": 1},
    ],
)
def test_a_changed_statement_leads_nowhere(
    generations: list[Identity], peers: PinnedPeers, store: Store, damage: dict[str, object]
) -> None:
    good = generations[1].successions[0]
    bad = {**good, **damage}
    if isinstance(damage.get("succession"), dict):
        bad["succession"] = {**good["succession"], **damage["succession"]}  # type: ignore[dict-item]
    store.put(f"{keys.participant(WARD)}/successions.json", json.dumps([bad]).encode())
    assert follow(peers, store) == 0
    assert peers.require(WARD).fingerprint == generations[0].public.fingerprint


def test_nobody_else_can_introduce_their_own_keys(
    generations: list[Identity], peers: PinnedPeers, store: Store, tmp_path: Path
) -> None:
    thief = Identity.create(WARD, tmp_path / "thief.json")
    put(store, *chain(succeed(thief)))
    assert follow(peers, store) == 0
    with pytest.raises(Refused, match="telephone"):
        peers.check(WARD, thief.public.document, shown(store, WARD))


def test_an_older_chain_takes_nobody_back(generations: list[Identity], peers: PinnedPeers, store: Store) -> None:
    publish(store, generations[2])
    follow(peers, store)
    for older in ((), chain(generations[1])):
        put(store, *older)
        assert follow(peers, store) == 0
        assert peers.require(WARD).fingerprint == generations[2].public.fingerprint
    with pytest.raises(Refused, match="telephone"):
        peers.check(WARD, generations[0].public.document, shown(store, WARD))


def test_two_successors_of_the_same_keys_end_all_trust(
    generations: list[Identity], peers: PinnedPeers, store: Store
) -> None:
    publish(store, generations[1])
    follow(peers, store)
    put(store, *chain(succeed(generations[0], 10)))  # by whoever has the first keys too
    for _ in range(2):
        with pytest.raises(KeysForked, match="two successors"):
            follow(peers, store)
    with pytest.raises(KeysForked):
        peers.require(WARD)
    assert peers.public(WARD) is None
    assert WARD not in peers.accepted()
    put(store, *chain(generations[1]))  # the store shows the good one again: people must have talked
    with pytest.raises(KeysForked):
        follow(peers, store)
    peers.forget(WARD)
    peers.update(WARD, ACCEPTED, generations[1].public.document)
    assert peers.require(WARD).fingerprint == generations[1].public.fingerprint


def test_a_ward_learns_that_its_keys_were_used_by_another(generations: list[Identity], store: Store) -> None:
    thiefs = succeed(generations[0], 10)
    publish(store, thiefs)
    for mine in generations[:2]:  # who has not replaced its keys, and who has
        with pytest.raises(KeysForked, match="introduces keys that are not here"):
            publish(store, mine)
    assert shown(store, WARD) == chain(thiefs)


def test_a_fingerprint_that_was_agreed_on_before_leads_to_the_newest_keys(
    generations: list[Identity], store: Store, tmp_path: Path
) -> None:
    publish(store, generations[2])
    newest = generations[2].public
    for known in generations:
        pinned = PinnedPeers(tmp_path / f"{known.public.fingerprint[:4]}.json", {WARD: known.public.fingerprint})
        pinned.update(WARD, ACCEPTED, newest.document, shown(store, WARD))
        assert pinned.require(WARD).earlier == newest.earlier
    assert successions.fits(generations[0].public.fingerprint, newest) == (
        "the keys with the fingerprint you gave were replaced 2 times, as they have signed"
    )
    assert successions.fits(newest.fingerprint, newest) == ""
    assert successions.fits("0000 " * 8, newest) is None


def test_rubbish_in_the_store_is_no_chain(peers: PinnedPeers, store: Store, generations: list[Identity]) -> None:
    for rubbish in (b"", b"[", b"{}", b"[[]]", b"[1]", b"[" * 100_000, b"x" * (successions.MAX_BYTES + 1)):
        store.put(f"{keys.participant(WARD)}/successions.json", rubbish)
        assert follow(peers, store) == 0
