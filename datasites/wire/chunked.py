"""Large messages, sealed in chunks of 1 MiB: Syft's envelope takes a message whole, and in memory several times.

    "wardround chunks 1\\n" | bytes of the envelope (4, big-endian) | envelope | chunk | chunk | ...

The *envelope* is Syft's, signed by the sender and encrypted to the recipient, of a head alone: a fresh 256-bit key, the
plaintext's size and its SHA-256. A *chunk* is AES-256-GCM under that key, in the STREAM construction (Hoang,
Reyhanitabar, Rogaway, Vizar, CRYPTO 2015; as `age` and Tink do it): its nonce is its number and whether it is the last,
its associated data the SHA-256 of all that stands before the first chunk. So no chunk can be changed, left out, moved,
added, or taken from another message; each is refused before the next is read.

The recipient knows the key too, and so does who has got hold of a key that the recipient once had. The digest in the
signed head is there for them: what they seal under that key was not signed by the sender.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from datasites.wire.pieces import Pieces
from datasites.wire.spool import Buffer, Spool

LARGE = 4 * 1024 * 1024  # what has fewer bytes travels in one envelope
CHUNK, TAG = 1024 * 1024, 16
MAGIC = b"wardround chunks 1\n"  # no envelope begins like this
_HEAD = b"wardround chunks 1 head\n"  # no message begins like this
_KEY, _DIGEST, _LENGTH, _SIZE = 32, 32, 4, 8
_MOST_ENVELOPE = 64 * 1024


@dataclass(frozen=True)
class Head:
    """What the sender signs. size: the plaintext's bytes; digest: its SHA-256, in hex."""

    key: bytes = field(repr=False)
    size: int
    digest: str

    @classmethod
    def parse(cls, said: bytes) -> Head | None:
        if not is_head(said) or len(said) != len(_HEAD) + _KEY + _DIGEST + _SIZE:
            return None
        rest = said[len(_HEAD) :]
        return cls(rest[:_KEY], int.from_bytes(rest[_KEY + _DIGEST :], "big"), rest[_KEY : _KEY + _DIGEST].hex())

    def encode(self) -> bytes:
        return _HEAD + self.key + bytes.fromhex(self.digest) + self.size.to_bytes(_SIZE, "big")

    @property
    def sealed_size(self) -> int:
        """Bytes of all chunks."""
        return self.size + TAG * -(-self.size // CHUNK)


@dataclass(frozen=True)
class Message:
    """A message that was sealed in chunks: what stands before the first chunk, the envelope in it, and the chunks."""

    prelude: bytes
    envelope: bytes
    chunks: memoryview

    @classmethod
    def parse(cls, found: Buffer) -> Message | None:
        """None for any other message."""
        at = len(MAGIC) + _LENGTH
        length = int.from_bytes(found[len(MAGIC) : at], "big")
        if found[: len(MAGIC)] != MAGIC or length > _MOST_ENVELOPE:
            return None
        prelude = bytes(found[: at + length])
        return cls(prelude, prelude[at:], memoryview(found)[at + length :])


def is_head(plaintext: Buffer) -> bool:
    """Whether this is no message, but the beginning of one, which somebody has cut off from the rest."""
    return plaintext[: len(_HEAD)] == _HEAD


def seal(plaintext: Pieces, wrap: Callable[[bytes], bytes], spool: Spool) -> Buffer:
    """The message. wrap: puts a few bytes into an envelope for the recipient. Raises Unavailable."""
    head = Head(secrets.token_bytes(_KEY), plaintext.size, plaintext.digest)
    envelope = wrap(head.encode())
    prelude = MAGIC + len(envelope).to_bytes(_LENGTH, "big") + envelope
    draft = spool.draft(len(prelude) + head.sealed_size)
    draft.write(0, prelude)
    at = len(prelude)
    for chunk in sealed_chunks(head, prelude, plaintext):
        draft.write(at, chunk)
        at += len(chunk)
    return draft.done()


def sealed_chunks(head: Head, prelude: bytes, plaintext: Pieces) -> Iterator[bytes]:
    """Each with its tag behind it."""
    cipher, about = AESGCM(head.key), hashlib.sha256(prelude).digest()
    last = -(-head.size // CHUNK) - 1
    for number, chunk in enumerate(plaintext.chunks(CHUNK)):
        yield cipher.encrypt(_nonce(number, number == last), chunk, about)


def opened(head: Head, message: Message, spool: Spool) -> Buffer | None:
    """The plaintext; None where it is not what the head says. Raises Unavailable."""
    if len(message.chunks) != head.sealed_size:
        return None
    cipher, about = AESGCM(head.key), hashlib.sha256(message.prelude).digest()
    draft, whole = spool.draft(head.size), hashlib.sha256()
    left, at, number = message.chunks, 0, 0
    while left:
        chunk, left = left[: CHUNK + TAG], left[CHUNK + TAG :]
        try:
            plain = cipher.decrypt(_nonce(number, not left), chunk, about)
        except InvalidTag:
            return None
        whole.update(plain)
        draft.write(at, plain)
        at, number = at + len(plain), number + 1
    return draft.done() if whole.hexdigest() == head.digest else None


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
