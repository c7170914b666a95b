from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from datasites.wire.identity import Identity, PublicIdentity, check_email, same_fingerprint
from policies.errors import InvalidInput, Refused


def test_a_signature_is_good_for_its_author_content_and_purpose_only(ada: Identity, stranger: Identity) -> None:
    signature = ada.sign("decision", b"yes")
    assert ada.public.verify("decision", b"yes", signature)
    assert not ada.public.verify("decision", b"no", signature)
    assert not ada.public.verify("manifest", b"yes", signature)
    assert not ada.public.verify("decisio", b"nyes", signature)
    assert not stranger.public.verify("decision", b"yes", signature)


@pytest.mark.parametrize("signature", ["", "AAAA", "not base64 !", "é", "A" * 86])
def test_rubbish_is_no_signature(ada: Identity, signature: str) -> None:
    assert not ada.public.verify("decision", b"yes", signature)


def test_an_envelope_opens_for_its_reader_and_its_sender_only(
    ada: Identity, ward: Identity, stranger: Identity
) -> None:
    envelope = ada.seal(ward.public, b"state")
    assert b"state" not in envelope
    assert ward.open(ada.public, envelope) == b"state"
    with pytest.raises(Refused):
        ward.open(stranger.public, envelope)  # the same address, other keys
    with pytest.raises(Refused):
        stranger.open(ada.public, envelope)
    with pytest.raises(Refused):
        ward.open(ward.public, envelope)


def test_no_changed_byte_changes_what_is_read(ada: Identity, ward: Identity) -> None:
    envelope = ada.seal(ward.public, b"state")
    noticed = 0
    for at in range(0, len(envelope), 7):
        changed = bytearray(envelope)
        changed[at] ^= 1
        try:
            assert ward.open(ada.public, bytes(changed)) == b"state"  # Syft's envelope has padding that nobody reads
        except Refused:
            noticed += 1
    assert noticed > 100


@pytest.mark.parametrize("envelope", [b"", b"x", b"\0" * 1000])
def test_rubbish_is_no_envelope(ada: Identity, ward: Identity, envelope: bytes) -> None:
    with pytest.raises(Refused, match="not signed by them for us"):
        ward.open(ada.public, envelope)


def test_the_same_keys_are_loaded_again(tmp_path: Path) -> None:
    created = Identity.create("a@x.org", tmp_path / "keys.json")
    loaded = Identity.load("a@x.org", tmp_path / "keys.json")
    assert loaded.public.fingerprint == created.public.fingerprint
    assert created.public.verify("c", b"x", loaded.sign("c", b"x"))
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    Identity.create("a@x.org", tmp_path / "keys.json")
    before = (tmp_path / "keys.json").read_bytes()
    with pytest.raises(Refused, match="keys already"):
        Identity.create("a@x.org", tmp_path / "keys.json")
    assert (tmp_path / "keys.json").read_bytes() == before


def test_a_key_file_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    with pytest.raises(InvalidInput, match="no key file"):
        Identity.load("a@x.org", path)
    Identity.create("a@x.org", path)
    with pytest.raises(Refused, match=r"belongs to a@x\.org"):
        Identity.load("b@x.org", path)
    path.chmod(0o644)
    with pytest.raises(Refused, match="chmod 600"):
        Identity.load("a@x.org", path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"email": "a@x.org", "keys_jwk": {}}'])
def test_a_damaged_key_file_says_so(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(InvalidInput, match="damaged"):
        Identity.load("a@x.org", path)


def test_a_public_identity_survives_the_store(ada: Identity) -> None:
    read = PublicIdentity.parse(ada.email, json.loads(json.dumps(ada.public.document)))
    assert read.fingerprint == ada.public.fingerprint


def test_keys_of_somebody_else_are_refused(ada: Identity, stranger: Identity, ward: Identity) -> None:
    good = ada.public.document
    mixed = {**good, "keyAgreement": stranger.public.document["keyAgreement"]}
    renamed = {**ward.public.document, "identity": ada.email}
    for document in (mixed, None, [], {}, {"identity": ada.email}, "text", {**good, "identity": "b@x.org"}):
        with pytest.raises(Refused, match="not valid"):
            PublicIdentity.parse(ada.email, document)
    # a name alone proves nothing: that is what pins and fingerprints are for
    assert PublicIdentity.parse(ada.email, renamed).fingerprint == ward.public.fingerprint


def test_a_fingerprint_is_eight_groups_and_differs(ada: Identity, stranger: Identity) -> None:
    groups = ada.public.fingerprint.split(" ")
    assert [len(group) for group in groups] == [4] * 8
    assert ada.public.fingerprint != stranger.public.fingerprint


@pytest.mark.parametrize("typed", ["ABCD 12", "abcd12", " ab:cd:12 ", "abcd-12"])
def test_fingerprints_are_compared_as_people_type_them(typed: str) -> None:
    assert same_fingerprint("abcd 12", typed)
    assert not same_fingerprint("abcd 13", typed)


def test_an_address_is_read_in_lower_case() -> None:
    assert check_email(" Ada.B@Uni-X.org ") == "ada.b@uni-x.org"


@pytest.mark.parametrize(
    "email",
    [
        *["", "ada", "@x.org", "ada@", "ada@x", "a b@x.org", "a/../b@x.org", "a@x..org", "a@x\n.org", "a@-x.org"],
        *["é@x.org", "../a@x.org", "a..b@x.org", ".a@x.org", "a@x.org/b", "a" * 70 + "@x.org", f"a@{'x' * 200}.org"],
    ],
)
def test_what_is_no_plain_address_is_refused(email: str) -> None:
    with pytest.raises(InvalidInput, match="not an e-mail address"):
        check_email(email)
