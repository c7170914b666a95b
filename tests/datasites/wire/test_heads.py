from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from datasites.wire import heads
from datasites.wire.heads import Head, Publication, SignedHead
from datasites.wire.identity import Identity
from datasites.wire.store import Store

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def store() -> Store:
    return Store(f"memory:///{uuid.uuid4().hex}")


def head_of(identity: Identity, size: int = 3) -> SignedHead:
    return SignedHead.sign(Head(hospital=identity.email, size=size, root="ab" * 32, at=AT), identity)


def test_a_head_counts_only_with_its_hospitals_signature(ward: Identity, ada: Identity) -> None:
    signed = head_of(ward)
    assert signed.verified(ward.public)
    assert not signed.verified(ada.public)
    for change in ({"size": 4}, {"root": "cd" * 32}, {"at": AT.replace(second=1)}, {"hospital": ada.email}):
        assert not signed.model_copy(update={"head": signed.head.model_copy(update=change)}).verified(ward.public)


def test_a_signature_has_one_spelling(ward: Identity) -> None:
    signed = head_of(ward)
    for spelling in (signed.signature + "=", signed.signature[:-1] + "B", " " + signed.signature):
        with pytest.raises(ValidationError):
            SignedHead(head=signed.head, signature=spelling)


def test_proofs_are_signed_too(ward: Identity, store: Store) -> None:
    shown = Publication.sign(head_of(ward), {1: [b"\1" * 32], 2: []}, ward)
    assert shown.proof_from(1) == [b"\1" * 32]
    assert shown.proof_from(2) == []
    assert shown.proof_from(3) is None
    assert shown.verified(ward.public)
    assert not shown.model_copy(update={"proofs": {"1": ()}}).verified(ward.public)


def test_what_is_not_the_hospitals_own_word_is_not_there(ward: Identity, ada: Identity, store: Store) -> None:
    name = heads.key(ward.email, 3)
    assert heads.read_publication(store, name, ward.public) is None
    good = Publication.sign(head_of(ward), {}, ward).model_dump_json().encode()
    forged = Publication.sign(head_of(ward), {}, ada).model_dump_json().encode()
    deep = b"[" * 100_000
    for rubbish in (b"", b"{}", deep, good[:-1], forged, b"x" * (heads.MAX_BYTES + 1)):
        store.put(name, rubbish)
        assert heads.read_publication(store, name, ward.public) is None
    store.put(name, good)
    found = heads.read_publication(store, name, ward.public)
    assert found
    assert found.head.head.size == 3
    moved = heads.key(ward.email, 4)  # an old head under a newer one's name
    store.put(moved, good)
    assert heads.read_publication(store, moved, ward.public) is None


def test_a_witnesss_word_is_the_hospitals_signature(ward: Identity, ada: Identity, store: Store) -> None:
    heads.write_witnessed(store, ada.email, head_of(ward))
    assert heads.read_witnessed(store, ada.email, ward.public) == head_of(ward)
    store.put(heads.witnessed_key(ada.email, ward.email), head_of(ada).model_dump_json().encode())
    assert heads.read_witnessed(store, ada.email, ward.public) is None
    assert heads.read_witnessed(store, "nobody@uni.org", ward.public) is None


@pytest.mark.parametrize("name", ["heads/1.json", "heads/00000000000x.json", "heads/٠٠٠٠٠٠٠٠٠٠٠١.json", "heads/"])
def test_other_names_are_no_heads(name: str) -> None:
    assert heads.size_of(name) is None
