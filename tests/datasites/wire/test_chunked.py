"""Attacks on messages that are sealed in chunks.

The attacker of most of them can do more than any real one: the signed head says just what the changed message gives, so
that one check alone stands between the change and the reader.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from datasites.wire import chunked
from datasites.wire.chunked import CHUNK, LARGE, MAGIC, TAG, Head, Message
from datasites.wire.identity import Identity, _opened_envelope
from datasites.wire.pieces import Pieces
from datasites.wire.spool import MEMORY, Spool
from datasites.wire.successions import succeed
from policies.errors import Refused

BYTES = secrets.token_bytes(LARGE + 12345)  # five chunks, the last one short
PARTS = [BYTES[at : at + CHUNK] for at in range(0, len(BYTES), CHUNK)]


def sealed(sender: Identity, reader: Identity, plaintext: bytes = BYTES) -> bytes:
    return bytes(sender.seal_in_chunks(reader.public, Pieces((plaintext,)), MEMORY))


def head_of(message: Message, sender: Identity, reader: Identity) -> Head:
    """As who has the reader's keys gets it."""
    head = Head.parse(_opened_envelope(reader.email, reader._keys, sender.public, message.envelope) or b"")
    assert head
    return head


def of_chunks(message: Message) -> list[bytes]:
    chunks = bytes(message.chunks)
    return [chunks[at : at + CHUNK + TAG] for at in range(0, len(chunks), CHUNK + TAG)]


def forged(plaintext: bytes, chunks: Sequence[bytes], key: bytes) -> tuple[Head, Message]:
    """A head that says `plaintext`, and a message with these chunks."""
    head = Head(key, len(plaintext), hashlib.sha256(plaintext).hexdigest())
    return head, Message(b"before", b"", memoryview(b"".join(chunks)))


def chunks_under(key: bytes, plaintext: bytes) -> list[bytes]:
    head = Head(key, len(plaintext), hashlib.sha256(plaintext).hexdigest())
    return list(chunked.sealed_chunks(head, b"before", Pieces((plaintext,))))


KEY = bytes(range(32))
HONEST = chunks_under(KEY, BYTES)
WHOLE = BYTES[:-12345] + PARTS[0]
ENDED, ENDLESS = chunks_under(KEY, WHOLE), chunks_under(KEY, WHOLE + b"more")  # under the same key
CHANGED = {
    "cut off at a chunk": (b"".join(PARTS[:-1]), HONEST[:-1]),
    "reordered": (b"".join([PARTS[1], PARTS[0], *PARTS[2:]]), [HONEST[1], HONEST[0], *HONEST[2:]]),
    "a chunk left out": (b"".join(PARTS[1:]), HONEST[1:]),
    "a chunk twice": (b"".join([PARTS[0], *PARTS]), [HONEST[0], *HONEST]),
    "extended behind the last": (WHOLE + b"more", [*ENDED, ENDLESS[-1]]),
    "of another key": (BYTES, [*HONEST[:2], chunks_under(bytes(32), BYTES)[2], *HONEST[3:]]),
}


@pytest.mark.parametrize("what", CHANGED)
def test_chunks_are_refused_even_where_the_head_says_what_they_would_give(what: str) -> None:
    plaintext, chunks = CHANGED[what]
    assert chunked.opened(*forged(BYTES, HONEST, KEY), MEMORY) == BYTES
    assert chunked.opened(*forged(plaintext, chunks, KEY), MEMORY) is None


def test_chunks_belong_to_what_stands_before_them() -> None:
    head, message = forged(BYTES, HONEST, KEY)
    assert chunked.opened(head, replace(message, prelude=b"before!"), MEMORY) is None


def test_the_size_in_the_head_is_that_of_the_chunks() -> None:
    head, message = forged(BYTES, HONEST, KEY)
    for size in (0, len(BYTES) - 1, len(BYTES) + 1, len(BYTES) + CHUNK, 1 << 62):
        assert chunked.opened(replace(head, size=size), message, MEMORY) is None


def test_who_knows_the_key_cannot_put_other_words_into_the_senders_mouth(ada: Identity, ward: Identity) -> None:
    """The reader itself, or who has got hold of a key that the reader once had: all of it can be decrypted and sealed
    again but for the signature over the plaintext's digest."""
    message = Message.parse(sealed(ada, ward))
    assert message
    head = head_of(message, ada, ward)
    other = BYTES[:-1] + bytes([BYTES[-1] ^ 1])
    chunks = list(chunked.sealed_chunks(head, message.prelude, Pieces((other,))))
    same = list(chunked.sealed_chunks(head, message.prelude, Pieces((BYTES,))))
    assert ward.open(ada.public, message.prelude + b"".join(same)) == BYTES
    with pytest.raises(Refused, match="not signed by them for us"):
        ward.open(ada.public, message.prelude + b"".join(chunks))


def test_a_large_message_opens_for_its_reader_and_its_sender_only(
    ada: Identity, ward: Identity, stranger: Identity
) -> None:
    message = sealed(ada, ward)
    assert BYTES[100:132] not in message
    assert ward.open(ada.public, message) == BYTES
    for reader, sender in ((ward, stranger), (stranger, ada), (ward, ward)):
        with pytest.raises(Refused, match="not signed by them for us"):
            reader.open(sender.public, message)


def test_chunks_and_heads_of_two_messages_do_not_mix(ada: Identity, ward: Identity, stranger: Identity) -> None:
    one, other = Message.parse(sealed(ada, ward)), Message.parse(sealed(ada, ward))
    strange = Message.parse(sealed(stranger, ward))
    assert one
    assert other
    assert strange
    for prelude, chunks in ((one.prelude, other.chunks), (strange.prelude, one.chunks), (one.prelude, strange.chunks)):
        with pytest.raises(Refused):
            ward.open(ada.public, prelude + bytes(chunks))
    mixed = [*of_chunks(one)[:2], *of_chunks(other)[2:]]
    with pytest.raises(Refused):
        ward.open(ada.public, one.prelude + b"".join(mixed))


def test_no_changed_byte_is_read(ada: Identity, ward: Identity) -> None:
    """Syft's envelope alone has padding that nobody reads; here it is bound to the chunks."""
    message = sealed(ada, ward)
    before = len(message) - len(BYTES) - 5 * TAG
    for at in [*range(0, before, 23), *range(before, len(message), CHUNK // 3), len(message) - 1]:
        changed = bytearray(message)
        changed[at] ^= 1
        with pytest.raises(Refused):
            ward.open(ada.public, bytes(changed))


def test_a_head_that_was_cut_off_is_no_message(ada: Identity, ward: Identity) -> None:
    message = Message.parse(sealed(ada, ward))
    assert message
    with pytest.raises(Refused):
        ward.open(ada.public, message.envelope)
    with pytest.raises(Refused):
        ward.open(ada.public, message.prelude)


def test_an_envelope_with_other_words_begins_no_message(ada: Identity, ward: Identity) -> None:
    """A small message of ada's, put in a head's place by who has the store."""
    message = Message.parse(sealed(ada, ward))
    assert message
    for said in (b"state", Head(KEY, len(BYTES), "00" * 32).encode() + b"x", chunked._HEAD):
        envelope = ada.seal(ward.public, said)
        prelude = MAGIC + len(envelope).to_bytes(4, "big") + envelope
        with pytest.raises(Refused):
            ward.open(ada.public, prelude + bytes(message.chunks))


@pytest.mark.parametrize(
    "rubbish", [MAGIC, MAGIC + b"\0\0\0\0", MAGIC + b"\xff" * 4, MAGIC + bytes(100_000), MAGIC[:-1], b""]
)
def test_rubbish_is_no_message(ada: Identity, ward: Identity, rubbish: bytes) -> None:
    with pytest.raises(Refused, match="not signed by them for us"):
        ward.open(ada.public, rubbish)


def test_small_messages_are_syfts_envelope(ada: Identity, ward: Identity) -> None:
    small = ada.seal_in_chunks(ward.public, Pieces((b"st", b"ate")), MEMORY)
    assert small[:4] == ada.seal(ward.public, b"state")[:4]
    assert len(small) == len(ada.seal(ward.public, b"state"))
    assert ward.open(ada.public, bytes(small)) == b"state"


@pytest.mark.parametrize("size", [LARGE, LARGE + 1, 5 * CHUNK, 5 * CHUNK - 1, 9 * CHUNK + 7])
def test_pieces_of_any_size_come_back_through_a_file(ada: Identity, ward: Identity, tmp_path: Path, size: int) -> None:
    plaintext = secrets.token_bytes(size)
    cuts = [0, 0, 1, CHUNK, CHUNK + 1, size - 1, size, size]
    pieces = Pieces(tuple(memoryview(plaintext)[a:b] for a, b in pairwise(cuts)))
    assert (pieces.size, pieces.digest) == (size, hashlib.sha256(plaintext).hexdigest())
    message = ada.seal_in_chunks(ward.public, pieces, Spool(tmp_path))
    assert ward.open_large(ada.public, message, Spool(tmp_path)) == plaintext
    assert ward.open(ada.public, bytes(message)) == plaintext
    assert list(tmp_path.iterdir()) == []  # files without names


def test_two_seals_of_one_message_have_nothing_in_common(ada: Identity, ward: Identity) -> None:
    one, other = Message.parse(sealed(ada, ward)), Message.parse(sealed(ada, ward))
    assert one
    assert other
    assert not set(of_chunks(one)) & set(of_chunks(other))
    first, second = head_of(one, ada, ward), head_of(other, ada, ward)
    assert first.key != second.key
    assert repr(first.key) not in repr(first)


def test_large_messages_follow_replaced_keys_as_small_ones_do(ada: Identity, ward: Identity) -> None:
    new = succeed(ward, 0)
    for plaintext in (BYTES, b"small"):
        to_the_old, by_the_old = sealed(ada, ward, plaintext), sealed(ward, ada, plaintext)
        assert new.open(ada.public, to_the_old) == plaintext
        with pytest.raises(Refused):
            new.open(ada.public, to_the_old, retired=False)
        assert ada.open(new.public, by_the_old, earlier=True) == plaintext
        with pytest.raises(Refused):
            ada.open(new.public, by_the_old)
        own = sealed(ward, ward, plaintext)
        renewed = new.renewed(own)
        assert renewed != own
        assert new.open(new.public, renewed, retired=False) == plaintext
        assert new.renewed(renewed) is renewed


def test_an_earlier_key_that_somebody_else_has_changes_nothing_that_was_sent_to_it(
    ada: Identity, ward: Identity
) -> None:
    new, message = succeed(ward, 0), Message.parse(sealed(ada, ward))
    assert message
    words = bytes(len(BYTES))
    forged_ = list(chunked.sealed_chunks(head_of(message, ada, ward), message.prelude, Pieces((words,))))
    with pytest.raises(Refused):
        new.open(ada.public, message.prelude + b"".join(forged_))
