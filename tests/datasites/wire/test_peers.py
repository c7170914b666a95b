from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from datasites.wire.identity import Identity
from datasites.wire.peers import ACCEPTED, REQUESTED, PinnedPeers
from policies.errors import InvalidInput, Refused


@pytest.fixture
def peers(tmp_path: Path) -> PinnedPeers:
    return PinnedPeers(tmp_path / "peers.json")


def test_nobody_is_known_at_first(peers: PinnedPeers, ada: Identity) -> None:
    assert peers.all() == {}
    assert peers.accepted() == []
    assert peers.public(ada.email) is None
    with pytest.raises(Refused, match="not known"):
        peers.require(ada.email)


def test_a_peer_is_pinned_at_first_sight(peers: PinnedPeers, ada: Identity) -> None:
    peers.update(ada.email, ACCEPTED, ada.public.document)
    assert peers.accepted() == [ada.email]
    assert peers.require(ada.email).fingerprint == ada.public.fingerprint
    assert stat.S_IMODE(peers.path.stat().st_mode) == 0o600


def test_pinned_keys_are_never_replaced(peers: PinnedPeers, ada: Identity, stranger: Identity) -> None:
    peers.update(ada.email, ACCEPTED, ada.public.document)
    with pytest.raises(Refused, match="telephone"):
        peers.update(ada.email, ACCEPTED, stranger.public.document)
    with pytest.raises(Refused, match="telephone"):
        peers.check(ada.email, stranger.public.document)
    assert peers.require(ada.email).fingerprint == ada.public.fingerprint


def test_a_new_state_keeps_the_keys(peers: PinnedPeers, ada: Identity) -> None:
    peers.update(ada.email, REQUESTED, ada.public.document)
    assert peers.accepted() == []
    peers.update(ada.email, ACCEPTED)
    assert peers.require(ada.email).fingerprint == ada.public.fingerprint


def test_an_expected_fingerprint_counts_at_first_sight(tmp_path: Path, ada: Identity, stranger: Identity) -> None:
    peers = PinnedPeers(tmp_path / "peers.json", {ada.email: ada.public.fingerprint.upper()})
    with pytest.raises(Refused, match="agreed on"):
        peers.update(ada.email, ACCEPTED, stranger.public.document)
    assert peers.all() == {}
    peers.update(ada.email, ACCEPTED, ada.public.document)


def test_keys_that_name_another_are_refused(peers: PinnedPeers, ada: Identity, ward: Identity) -> None:
    with pytest.raises(Refused, match="not valid"):
        peers.update(ada.email, ACCEPTED, ward.public.document)


def test_pins_changed_on_disk_are_checked_again(peers: PinnedPeers, ada: Identity) -> None:
    peers.update(ada.email, ACCEPTED, ada.public.document)
    peers.path.write_text(peers.path.read_text().replace('"keyAgreement"', '"other"'))
    with pytest.raises(Refused, match="not valid"):
        peers.require(ada.email)


def test_a_damaged_list_says_so(peers: PinnedPeers) -> None:
    peers.path.write_text("{")
    with pytest.raises(InvalidInput, match="damaged"):
        peers.all()


def test_writers_beside_each_other_lose_nothing(tmp_path: Path) -> None:
    def add(number: int) -> None:
        PinnedPeers(tmp_path / "peers.json").update(f"p{number}@x.org", ACCEPTED)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(PinnedPeers(tmp_path / "peers.json").accepted()) == 8
