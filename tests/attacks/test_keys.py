"""Whose keys count, and who can read one's own."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from syft.sync.peers.peer_store import PeerStore

from datasites.wire import keys
from datasites.wire.identity import Identity
from datasites.wire.login import connection_of, login
from policies.errors import Refused
from tests.attacks.world import EVE, OWNER, ZOE, Ward, World
from tests.support.parties import befriend, job_files, job_folder, join, post, proposal


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def _swap_keys(ward: Ward, victim: str) -> Identity:
    """Whoever runs the store puts other keys in the place of `victim`'s, wherever they lie."""
    stranger = Identity.create(victim, ward.folder / "stranger.json")
    document = stranger.public.document
    ward.owner.store.put(f"{keys.participant(victim)}/bundle.json", json.dumps(document).encode())
    if raw := ward.owner.store.get(f"{keys.own(OWNER)}/peers.json"):
        peers = json.loads(raw)
        peers[victim]["public_encryption_bundle"] = document
        ward.owner.store.put(f"{keys.own(OWNER)}/peers.json", json.dumps(peers).encode())
    return stranger


def test_keys_exchanged_in_the_store_open_no_door(ward: Ward) -> None:
    stranger = _swap_keys(ward, ZOE)
    message = proposal(ZOE, OWNER, job_files(ZOE, "stranger"))
    post(ward.zoe, ward.owner, stranger.seal(ward.owner.identity.public, message.as_compressed_data()), message)
    ward.sync()
    arrived = (ward.owner.tree / job_folder(ZOE, "stranger") / "run.sh").exists()
    assert arrived is not ward.ours
    if ward.ours:
        assert "not signed by them" in ward.owner.reasons()[-1]
        assert ward.honest_job_arrives()  # with the keys that were pinned


def test_a_hospital_with_other_keys_than_agreed_on_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path, "memory:///agreed", ours=True)
    owner = world.join(OWNER, "owner")
    other = Identity.create(OWNER, tmp_path / "other.json").public.fingerprint
    expected = {OWNER: other}
    zoe = join(tmp_path, ZOE, "researcher", world.store, enter=lambda *a: login(*a, expected=expected))
    with pytest.raises(Refused, match="telephone"):
        befriend(owner, zoe)


@pytest.mark.check
def test_a_hospital_with_the_agreed_keys_is_accepted(tmp_path: Path) -> None:
    world = World(tmp_path, "memory:///as-agreed", ours=True)
    owner = world.join(OWNER, "owner")
    expected = {OWNER: owner.identity.public.fingerprint.replace(" ", "").upper()}
    zoe = join(tmp_path, ZOE, "researcher", world.store, enter=lambda *a: login(*a, expected=expected))
    befriend(owner, zoe)
    assert connection_of(zoe.client).peers.accepted() == [OWNER]


def test_a_bundle_that_another_signed_is_refused(new_ward: Callable[[bool], Ward]) -> None:
    """Keys of an own choice under the name and signature of somebody else."""
    ward = new_ward(True)
    stranger = Identity.create(EVE, ward.folder / "stranger.json").public.document
    mixed = {**ward.eve.identity.public.document, "keyAgreement": stranger["keyAgreement"]}
    ward.eve.store.put(f"{keys.participant(EVE)}/bundle.json", json.dumps(mixed).encode())
    with pytest.raises(Refused, match="not valid"):
        ward.owner.connection.read_peer_encryption_bundle(EVE)


@pytest.mark.usefixtures("open_umask")
def test_stock_syft_writes_keys_that_all_can_read(tmp_path: Path) -> None:
    PeerStore.create(OWNER, True, tmp_path / "keys.json")
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) & 0o044


@pytest.mark.usefixtures("open_umask")
def test_our_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    world = World(tmp_path, "memory:///modes", ours=True)
    owner = world.join(OWNER, "owner")
    owner.sync()
    assert stat.S_IMODE(owner.home.keys.stat().st_mode) == 0o600
    assert stat.S_IMODE(owner.home.path.stat().st_mode) == 0o700
    assert owner.home.syftbox not in owner.home.keys.parents  # never in the synced tree


def test_keys_that_others_can_read_are_refused(tmp_path: Path) -> None:
    world = World(tmp_path, "memory:///open", ours=True)
    owner = world.join(OWNER, "owner")
    owner.home.keys.chmod(0o640)
    with pytest.raises(Refused, match="chmod 600"):
        login(OWNER, owner.home, world.store, "owner")
