"""The store's front, as it is really run, against those whom it must keep out."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from datasites.onboarding.authority import REVOKED, Authority, locked
from datasites.onboarding.front import BUCKET
from datasites.onboarding.revocations import fetch
from datasites.wire.passphrase import remember
from datasites.wire.store import Store
from policies.errors import InvalidInput, Refused, Unavailable
from tests.attacks.front.asking import context, store
from tests.support.federation import wait_for
from tests.support.front import PASSPHRASE, Front, serve_front

NORTH, SOUTH, ADA = "do@north.org", "do@south.org", "ada@uni.org"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with serve_front(tmp_path_factory.mktemp("front")) as served:
        for name in (NORTH, SOUTH, ADA):
            served.made[name] = served.certificate(name, "researcher" if name == ADA else "hospital")
        yield served


# who gets in


def test_a_good_certificate_gets_in(front: Front) -> None:
    store(front, NORTH).put(f"own/{NORTH}/x", b"hello")
    assert store(front, NORTH).get(f"own/{NORTH}/x") == b"hello"


def test_nobody_without_a_certificate(front: Front) -> None:
    connection = http.client.HTTPSConnection("localhost", front.port, context=context(front, None))
    connection.request("GET", f"/{BUCKET}?list-type=2")
    answer = connection.getresponse()
    assert (answer.status, b"CertificateRefused" in answer.read()) == (403, True)
    with pytest.raises(Unavailable):
        Store(front.url, {**front.options(None), "ca_file": str(front.folder / "store/ca.pem")}).get("x")


def test_a_certificate_of_another_authority(front: Front, tmp_path: Path) -> None:
    other = Authority.create(tmp_path / "ca", "a consortium", PASSPHRASE)  # even one that goes by the same name
    pem, key = other.issue(NORTH, "hospital")
    (tmp_path / "forged.pem").write_bytes(pem + locked(key, PASSPHRASE))
    remember(tmp_path, PASSPHRASE)
    with pytest.raises(Unavailable, match="refuses this machine's certificate"):
        store(front, tmp_path / "forged.pem").get(f"own/{NORTH}/x")


def test_a_certificate_that_has_ended(front: Front) -> None:
    ended = front.certificate("do@late.org", days=1e-5)
    time.sleep(1.5)  # certificates count whole seconds
    with pytest.raises(Unavailable, match=r"refuses this machine's certificate .*expired"):
        store(front, ended).get("own/do@late.org/x")


def test_the_stores_own_certificate_is_no_participants(front: Front, tmp_path: Path) -> None:
    pem, key = front.authority.issue("store", "store", ["localhost"])
    (tmp_path / "store.pem").write_bytes(pem + locked(key, PASSPHRASE))
    remember(tmp_path, PASSPHRASE)
    with pytest.raises(Unavailable, match="refuses this machine's certificate"):
        store(front, tmp_path / "store.pem").get("x")


def test_revoked_on_an_open_connection_and_in_a_session_that_is_resumed(front: Front) -> None:
    thief = front.certificate("do@stolen.org")
    held, tls = store(front, thief), context(front, thief)
    held.put("own/do@stolen.org/x", b"before")
    first = http.client.HTTPSConnection("localhost", front.port, context=tls)
    first.request("HEAD", f"/{BUCKET}/own/do@stolen.org/x")
    first.getresponse().read()
    session = first.sock.session  # type: ignore[union-attr]
    first.close()
    front.authority.revoke("do@stolen.org")
    front.reload()
    with pytest.raises(Unavailable, match=r"refuses this machine's certificate .*revoked"):
        held.put("own/do@stolen.org/x", b"after")
    with (
        socket.create_connection(("localhost", front.port)) as plain,
        tls.wrap_socket(plain, server_hostname="localhost", session=session) as again,
    ):
        again.sendall(b"GET /federation/own/do@stolen.org/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b"CertificateRefused" in b"".join(iter(lambda: again.recv(4096), b""))
        assert not again.session_reused
    assert (front.folder / "store/objects" / BUCKET / "own/do@stolen.org/x").read_bytes() == b"before"


def test_a_revocation_is_fetched_and_an_older_list_lets_nobody_in_again(front: Front, tmp_path: Path) -> None:
    thief, folder, lists = front.certificate("do@again.org"), front.folder / "store", front.authority.folder
    held = store(front, thief)
    held.put("own/do@again.org/x", b"before")
    older = tmp_path / "older.pem"
    older.write_bytes((lists / REVOKED).read_bytes())
    front.authority.revoke("do@again.org")
    with front.reloaded():
        assert fetch(folder, str(lists / REVOKED)).changed
    wait_for(lambda: refused(held, "own/do@again.org/x"), "the front to heed the list")
    assert not fetch(folder, str(lists / REVOKED)).changed

    newest = (folder / REVOKED).read_bytes()
    with pytest.raises(Refused, match="is older than"):
        fetch(folder, str(older))
    other = Authority.create(tmp_path / "other", "a consortium", PASSPHRASE)
    bad = {"another authority's": (other.folder / REVOKED).read_bytes(), "rubbish": b"x", "two": newest * 2}
    bad["changed"] = newest.replace(b"M", b"N", 1)
    for content in bad.values():
        (tmp_path / "bad.pem").write_bytes(content)
        with pytest.raises((Refused, InvalidInput)):
            fetch(folder, str(tmp_path / "bad.pem"))
    with pytest.raises(Unavailable, match="cannot be read"):
        fetch(folder, "http://127.0.0.1:9/crl.pem")
    assert (folder / REVOKED).read_bytes() == newest
    assert refused(held, "own/do@again.org/x")


def refused(held: Store, name: str) -> bool:
    try:
        held.put(name, b"after")
    except Unavailable as why:
        return "revoked" in str(why)
    return False


def test_a_rotated_certificate_goes_on_where_the_old_one_was(front: Front) -> None:
    path = front.certificate("do@rotates.org")
    running = store(front, path)
    running.put("own/do@rotates.org/x", b"history")
    assert front.certificate("do@rotates.org") == path  # a new key, in the same place, while the agent runs
    front.authority.revoke("do@rotates.org", keep_newest=True)
    front.reload()
    assert running.get("own/do@rotates.org/x") == b"history"
    running.put("own/do@rotates.org/y", b"more")


def test_a_store_that_is_not_ours_is_not_spoken_to(front: Front, tmp_path: Path) -> None:
    Authority.create(tmp_path / "ca", "another", PASSPHRASE)
    options = {**front.options(front.made[NORTH]), "ca_file": str(tmp_path / "ca/ca.pem")}
    with pytest.raises(Unavailable):
        Store(front.url, options).put(f"own/{NORTH}/x", b"secret")


def test_a_key_does_not_open_by_another_passphrase(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDROUND_PASSPHRASE", "not the passphrase")
    options = {**front.options(front.made[NORTH]), "aws_region": "elsewhere"}  # not the one that is open already
    with pytest.raises(InvalidInput, match="cannot be used"):
        Store(front.url, options)
    assert PASSPHRASE not in front.made[NORTH].read_bytes()
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in front.made[NORTH].read_bytes()


def test_an_s3_key_alone_is_worth_nothing(front: Front) -> None:
    """Whoever stole the consortium's S3 key, and no certificate: neither by the front nor past it."""
    with pytest.raises(Unavailable):
        Store(front.url, front.options(None)).names("own")
    assert (front.folder / "store").stat().st_mode & 0o077 == 0  # where the socket of rclone lies
