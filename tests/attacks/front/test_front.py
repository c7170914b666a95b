"""The store's front, as it is really run, against those whom it must keep out, and against its own participants."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote

import pytest
from minio.credentials import Credentials
from minio.signer import sign_v4_s3

from datasites.onboarding.authority import REVOKED, Authority, locked
from datasites.onboarding.front import BUCKET
from datasites.onboarding.revocations import fetch
from datasites.wire.passphrase import remember
from datasites.wire.store import Store
from policies.errors import InvalidInput, NotAllowed, Refused, Unavailable
from tests.support.federation import wait_for
from tests.support.front import PASSPHRASE, Front, serve_front
from tests.support.s3 import KEY, SECRET

NORTH, SOUTH, ADA = "do@north.org", "do@south.org", "ada@uni.org"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with serve_front(tmp_path_factory.mktemp("front")) as served:
        for name in (NORTH, SOUTH, ADA):
            served.made[name] = served.certificate(name, "researcher" if name == ADA else "hospital")
        yield served


def store(front: Front, who: str | Path) -> Store:
    return Store(front.url, front.options(who if isinstance(who, Path) else front.made[who]))


def context(front: Front, certificate: Path | None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(front.folder / "store/ca.pem"))
    if certificate:
        made.load_cert_chain(certificate, password=PASSPHRASE)
    return made


def raw(front: Front, who: str, method: str, target: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    """A request with exactly this target, signed with the right S3 key: (status, answer)."""
    path, _, query = target.partition("?")
    host = f"localhost:{front.port}"
    digest = "UNSIGNED-PAYLOAD"
    date = datetime.now(UTC)
    signed = sign_v4_s3(
        method=method,
        url=SplitResult("https", host, quote(unquote(path), safe="/-_.~"), query, ""),
        region="us-east-1",
        headers={
            "Host": host,
            "x-amz-content-sha256": digest,
            "x-amz-date": date.strftime("%Y%m%dT%H%M%SZ"),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        },
        credentials=Credentials(KEY, SECRET),
        content_sha256=digest,
        date=date,
    )
    connection = http.client.HTTPSConnection("localhost", front.port, context=context(front, front.made[who]))
    try:
        connection.request(method, target, body, {name: str(value) for name, value in signed.items()})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


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
    assert store(front, NORTH).get("own/do@stolen.org/x") == b"before"


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


# what those inside may do

PIECE = f"{'0' * 64}/000000"  # of a large object
MINE = [
    (NORTH, f"participants/{NORTH}/bundle.json"),
    (NORTH, f"coll/{NORTH}/a/data/twin.csv"),
    (NORTH, f"p2p/{NORTH}/outbox/{ADA}/m"),
    (ADA, f"p2p/{NORTH}/inbox/{ADA}/m"),
    (ADA, f"p2p/{NORTH}/outbox/{ADA}/.peer"),
    (NORTH, f"rounds/abc/up/000001/{NORTH}"),
    (ADA, f"rounds/abc/down/{NORTH}/000001"),
    (NORTH, f"gossip/abc/{NORTH}/{SOUTH}/000001"),
    (NORTH, f"parts/gossip/abc/{NORTH}/{SOUTH}/000001/{PIECE}"),
    (NORTH, f"parts/own/{NORTH}/x/{PIECE}"),
    (ADA, f"parts/p2p/{NORTH}/inbox/{ADA}/m/{PIECE}"),
    (NORTH, f"parts/rounds/abc/up/000001/{NORTH}/{PIECE}"),
    (ADA, f"parts/rounds/abc/down/{NORTH}/000001/{PIECE}"),
]
THEIRS = [
    (SOUTH, f"participants/{NORTH}/bundle.json"),
    (SOUTH, f"own/{NORTH}/events/x"),
    (SOUTH, f"coll/{NORTH}/a/data/twin.csv"),
    (SOUTH, f"p2p/{NORTH}/outbox/{ADA}/m"),
    (SOUTH, f"p2p/{NORTH}/inbox/{ADA}/m"),
    (SOUTH, f"rounds/abc/up/000001/{NORTH}"),
    (SOUTH, f"gossip/abc/{NORTH}/{SOUTH}/000001"),  # though it is the reader
    (ADA, f"gossip/abc/{NORTH}/{SOUTH}/presence"),
    (SOUTH, f"rounds/abc/down/{NORTH}/000001"),  # a hospital is no researcher
    (SOUTH, f"parts/own/{NORTH}/x/{PIECE}"),
    (SOUTH, f"parts/rounds/abc/up/000001/{NORTH}/{PIECE}"),
    (SOUTH, f"parts/rounds/abc/down/{NORTH}/000001/{PIECE}"),
    (NORTH, f"parts/parts/own/{NORTH}/x/{PIECE}"),
    (NORTH, "elsewhere/x"),
    (NORTH, f"own/{NORTH}.evil/x"),
    (NORTH, f"own/x{NORTH}/x"),
]


@pytest.mark.parametrize(("who", "name"), MINE)
def test_what_is_ones_own_is_written_and_deleted(front: Front, who: str, name: str) -> None:
    store(front, who).put(name, b"x")
    assert store(front, SOUTH).get(name) == b"x"
    store(front, who).delete(name)
    assert store(front, who).get(name) is None


@pytest.mark.parametrize(("who", "name"), THEIRS)
def test_what_is_anothers_is_neither_written_nor_deleted(front: Front, who: str, name: str) -> None:
    there = front.folder / "store/objects" / BUCKET / name
    there.parent.mkdir(parents=True, exist_ok=True)
    there.write_bytes(b"theirs")
    for attempt in (lambda: store(front, who).put(name, b"mine"), lambda: store(front, who).delete(name)):
        with pytest.raises(NotAllowed):
            attempt()
    assert there.read_bytes() == b"theirs"


OWN = f"/{BUCKET}/own/{NORTH}"
TARGETS = [
    f"{OWN}/../{SOUTH}/x",
    f"{OWN}/..%2F{SOUTH}/x",
    f"{OWN}/%2e%2e/{SOUTH}/x",
    f"{OWN}/./../{SOUTH}/x",
    f"{OWN}/..\\{SOUTH}/x",
    f"{OWN}//..//{SOUTH}/x",
    f"//{BUCKET}/own/{SOUTH}/x",
    f"/{BUCKET}/own/{SOUTH}/x?/own/{NORTH}/",
    f"/{BUCKET}/own/{SOUTH}/x;/own/{NORTH}/",
    f"{OWN}/x?uploadId=1&partNumber=1",
    f"{OWN}/x%00",
    f"/{BUCKET}",
    "/another",
]


@pytest.mark.parametrize("target", TARGETS)
def test_no_spelling_reaches_anothers_names(front: Front, target: str) -> None:
    assert raw(front, NORTH, "PUT", f"{OWN}/plain", b"x")[0] == 200  # the same way, spelt plainly
    victim = front.folder / "store/objects" / BUCKET / "own" / SOUTH / "x"
    victim.parent.mkdir(parents=True, exist_ok=True)
    victim.write_bytes(b"theirs")
    for method in ("PUT", "DELETE"):
        status, answer = raw(front, NORTH, method, target, b"mine")
        assert (status in (400, 403), b"SignatureDoesNotMatch" in answer) == (True, False)
    assert victim.read_bytes() == b"theirs"
    assert not (front.folder / "store/objects/another").exists()


def test_many_names_are_not_deleted_at_once_and_nothing_is_copied(front: Front) -> None:
    victim = front.folder / "store/objects" / BUCKET / "own" / SOUTH / "y"
    victim.parent.mkdir(parents=True, exist_ok=True)
    victim.write_bytes(b"theirs")
    body = f"<Delete><Object><Key>own/{SOUTH}/y</Key></Object></Delete>".encode()
    assert raw(front, NORTH, "POST", f"/{BUCKET}?delete=", body)[0] == 403
    assert raw(front, NORTH, "PUT", f"{OWN}/z", b"", x_amz_copy_source=f"/{BUCKET}/own/{SOUTH}/y")[0] == 403
    assert victim.read_bytes() == b"theirs"


def test_an_s3_key_alone_is_worth_nothing(front: Front) -> None:
    """Whoever stole the consortium's S3 key, and no certificate: neither by the front nor past it."""
    with pytest.raises(Unavailable):
        Store(front.url, front.options(None)).names("own")
    assert (front.folder / "store").stat().st_mode & 0o077 == 0  # where the socket of rclone lies
