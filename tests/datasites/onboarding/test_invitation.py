"""An invitation comes by mail: it is hostile until its passphrase has opened it, and its content is bounded then."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from datasites.onboarding import consortium, joining
from datasites.onboarding.authority import Authority, locked, plain, unlocked
from datasites.onboarding.invitation import MOST_BYTES, Invitation, read, unseal
from datasites.wire.identity import Identity
from datasites.wire.passphrase import remember
from datasites.wire.sealed import COST, seal
from policies.errors import InvalidInput, Refused
from tests.datasites.onboarding.conftest import ROOT

WORDS = b"told-over-the-telephone"
Invite = Callable[[str], Invitation]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, with a passphrase that is cheap to try."""
    monkeypatch.setitem(COST, "n", 2**10)


def sealed(content: bytes, passphrase: bytes) -> dict[str, str]:
    """What a forger who knows the passphrase, and everything about the format, would write."""
    return seal(content, passphrase, {"kind": "wardround-invitation/1", "read_me": ""})


def test_it_opens_by_its_passphrase_alone_and_shows_no_secret(invite: Invite, tmp_path: Path) -> None:
    made = invite("north")
    path = tmp_path / "north.invitation"
    made.write(path, WORDS)
    assert path.stat().st_mode & 0o077 == 0
    assert unseal(read(path), WORDS) == made
    assert "Readmission" in json.loads(path.read_bytes())["read_me"]
    for secret in (made.secret_key, made.key, made.certificate):
        assert secret.encode() not in path.read_bytes()
    with pytest.raises(Refused, match="does not open"):
        unseal(read(path), b"another passphrase")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("field", ["read_me", "salt", "nonce", "sealed"])
def test_not_one_character_is_changed_unseen(invite: Invite, field: str) -> None:
    content = json.loads(invite("north").seal(WORDS))
    first = content[field][0]
    content[field] = ("B" if first != "B" else "C") + content[field][1:]
    with pytest.raises(Refused, match="does not open"):
        unseal(content, WORDS)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"not json",
        b"[]",
        b"[" * 100_000,
        b'{"kind": "wardround-invitation/1"}',
        b'{"kind": 1, "read_me": 1, "salt": 1, "nonce": 1, "sealed": 1}',
        b'{"kind": "wardround-invitation/2", "read_me": "", "salt": "", "nonce": "", "sealed": ""}',
        b"PK\x03\x04" + bytes(100),
        b'{"kind": "' + b"x" * MOST_BYTES + b'"}',
    ],
)
def test_what_is_no_invitation_is_told_in_one_sentence(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(raw)
    with pytest.raises(InvalidInput, match="is not an invitation"):
        read(tmp_path / "x")


@pytest.mark.parametrize("what", ["pipe", "folder", "device", "missing", "endless"])
def test_no_more_is_read_than_a_small_file(what: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    if what == "pipe":
        os.mkfifo(path)  # which nobody ever writes to
    elif what == "folder":
        path.mkdir()
    elif what == "device":
        path = Path("/dev/zero")
    elif what == "endless":
        path.touch()
        os.truncate(path, 2**40)
    with pytest.raises(InvalidInput, match=r"not an invitation|cannot be read"):
        read(path)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "change",
    [
        {"email": "../../../etc/cron.d/x"},
        {"email": "do@south.org"},  # whose certificate it is not
        {"role": "researcher"},
        {"endpoint": "http://store.example.org:9443"},  # without TLS
        {"endpoint": "https://user:password@evil.org:1/"},
        {"bucket": "../other"},
        {"name": "North\x1b[2J"},
        {"federation": "x\u202egro"},
        {"hospitals": {"../x": {"email": "do@north.org"}}},
        {"hospitals": {f"h{i}": {"email": f"do@h{i}.org"} for i in range(1001)}},
        {"policy": "x" * 65_537},
        {"secret_key": 'x"\n[limits]'},
        {"unknown": "field"},
        {"version": 2},
        {"key": "none"},
        {"certificate": "none"},
    ],
    ids=str,
)
def test_a_content_that_does_not_fit_is_refused_and_writes_nothing(
    invite: Invite, change: dict[str, object], tmp_path: Path
) -> None:
    content = {**invite("north").model_dump(mode="json"), **change}
    with pytest.raises(InvalidInput) as caught:
        joining.join(unseal(sealed(json.dumps(content).encode(), WORDS), WORDS), tmp_path / "home", WORDS)
    assert invite("north").secret_key not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_a_key_or_an_authority_of_another_is_refused(invite: Invite, tmp_path: Path) -> None:
    made, south = invite("north"), invite("south")
    other = Authority.create(tmp_path / "ca", "another", ROOT)
    pem, key = other.issue("do@north.org", "hospital")
    with pytest.raises(InvalidInput, match="not its certificate's"):
        made.model_copy(update={"key": south.key}).checked()
    forged = {"certificate": pem.decode(), "key": locked(key, WORDS).decode()}
    with pytest.raises(InvalidInput, match="cannot be opened"):
        made.model_copy(update=forged).checked()
    with pytest.raises(InvalidInput, match="not signed by the authority"):
        made.model_copy(update={**forged, "key": plain(key).decode()}).checked()


@pytest.mark.usefixtures("quick")
def test_joining_makes_a_private_place_with_a_locked_key(
    invite: Invite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDROUND_PASSPHRASE", WORDS.decode())
    made = invite("north")
    home = tmp_path / "north"
    joined = joining.join(made, home, WORDS)
    assert not joined.renewed
    for path in (home, *home.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
        if path.is_file():
            assert made.key.splitlines()[1].encode() not in path.read_bytes()
    identity = (home / joining.IDENTITY).read_bytes()
    key = unlocked(identity[identity.index(b"-----BEGIN ENC") :], WORDS, home)
    assert key.private_numbers() == unlocked(made.key.encode(), None, home).private_numbers()
    told = tomllib.loads((home / joining.FEDERATION).read_text())
    assert told["hospitals"]["south"]["email"] == "do@south.org"
    again = joining.join(invite("north"), home, WORDS)
    assert (again.renewed, again.fingerprint) == (True, joined.fingerprint)
    assert (home / joining.IDENTITY).read_bytes() != identity
    with pytest.raises(Refused, match="not the one invited"):
        joining.join(invite("south"), home, WORDS)
    assert b"do@north.org" in (home / joining.FEDERATION).read_bytes()


def test_a_fingerprint_that_was_read_out_is_in_later_invitations(tmp_path: Path) -> None:
    hospitals = {"north": "do@north.org", "south": "do@south.org"}
    consortium.init(tmp_path / "c", 'The "R" 🏥', "10.0.0.1", 443, hospitals, {}, ROOT)
    file = tmp_path / "c" / consortium.FILE
    file.write_text(file.read_text().replace('# fingerprint = ""', 'fingerprint = "8144 21eb"', 1))
    made = consortium.invite(tmp_path / "c", "south", ROOT)
    assert made.hospitals["north"].fingerprint == "8144 21eb"
    told = tomllib.loads(joining.federation_file(made))
    assert told["name"] == 'The "R" 🏥'
    assert told["hospitals"]["north"]["fingerprint"] == "8144 21eb"
    assert told["store_options"]["aws_endpoint"] == "https://10.0.0.1:443"


def test_an_existing_authority_needs_its_files_only(tmp_path: Path, folder: Path) -> None:
    other = Authority.create(tmp_path / "pki", "The region's own", ROOT)
    consortium.init(tmp_path / "c", "R", "store.example.org", 9443, {"north": "do@north.org"}, {}, None)
    assert not (tmp_path / "c/ca").exists()
    (tmp_path / "c/store/ca.pem").write_bytes((tmp_path / "pki/ca.pem").read_bytes())
    pem, key = other.issue("do@north.org", "hospital")
    (tmp_path / "cert.pem").write_bytes(pem)
    (tmp_path / "cert.key").write_bytes(locked(key, WORDS))
    given = (tmp_path / "cert.pem", tmp_path / "cert.key", WORDS)
    assert consortium.invite(tmp_path / "c", "north", None, given).certificate == pem.decode()
    with pytest.raises(InvalidInput, match="needs a certificate"):
        consortium.invite(tmp_path / "c", "north", None)


def test_a_consortium_that_names_somebody_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="twice"):
        consortium.init(tmp_path / "c", "R", "h", 1, {"a": "do@a.org", "b": "do@a.org"}, {}, ROOT)
    with pytest.raises(InvalidInput, match=r"store\.host"):
        consortium.init(tmp_path / "c", "R", "a b; rm", 1, {}, {}, ROOT)
    assert not (tmp_path / "c").exists()


def test_an_invitations_values_never_appear_in_an_error(invite: Invite) -> None:
    with pytest.raises(ValidationError) as caught:
        Invitation.model_validate({**invite("north").model_dump(), "secret_key": "8675309 !"})
    assert "8675309" not in str(caught.value)


@pytest.mark.usefixtures("quick")
def test_a_passphrase_is_changed_and_peers_notice_nothing(
    invite: Invite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "north"
    joined = joining.join(invite("north"), home, WORDS)
    keys, identity = home / "identity.json", home / joining.IDENTITY
    before = keys.read_bytes(), identity.read_bytes()
    with pytest.raises(InvalidInput, match="cannot be opened"):
        joining.change_passphrase(home, b"not the passphrase", b"another passphrase")
    assert (keys.read_bytes(), identity.read_bytes()) == before
    joining.change_passphrase(home, WORDS, b"another passphrase")
    keys.write_bytes(before[0])  # as a crash between the two leaves it
    assert joining.change_passphrase(home, WORDS, b"another passphrase") == [keys, identity]
    remember(home, b"another passphrase")
    assert Identity.load("do@north.org", keys).public.fingerprint == joined.fingerprint
    for path in (keys, identity):
        assert path.read_bytes() not in before
        assert path.stat().st_mode & 0o077 == 0
    remember(home, WORDS)
    with pytest.raises(InvalidInput, match="does not open"):
        Identity.load("do@north.org", keys)


@pytest.mark.usefixtures("quick")
def test_keys_that_were_plain_come_under_a_first_passphrase(tmp_path: Path) -> None:
    made = Identity.create("do@north.org", tmp_path / "identity.json")
    assert b'"d"' in (tmp_path / "identity.json").read_bytes()
    joining.change_passphrase(tmp_path, None, WORDS)
    assert b'"d"' not in (tmp_path / "identity.json").read_bytes()
    remember(tmp_path, WORDS)
    again = Identity.load("do@north.org", tmp_path / "identity.json")
    assert again.public == made.public
    with again.file_in_memory() as path:
        assert json.loads(path.read_bytes())["email"] == "do@north.org"
    assert not path.exists()
