"""Keys agreed on between two hospitals, and masks: streams of numbers that are uniform to all who lack the seed.

X25519 (RFC 7748), HKDF-SHA256 (RFC 5869), AES-256 in counter mode, ChaCha20-Poly1305 (RFC 8439). A seed or key is made
for one aggregation and one purpose, so that none is ever used twice.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from datasites.wire.canonical import canonical_json
from policies.errors import Refused

Ring = NDArray[np.uint64]  # numbers modulo 2^64
Purpose = Literal["shares", "pair", "self"]
_CHUNK = 1 << 20  # numbers of a mask that exist at once
_ZEROS = bytes(8 * _CHUNK)


def agreed(secret: bytes, public: bytes, purpose: Purpose, scope: str, one: str, other: str) -> bytes:
    """The 32 bytes that two hospitals, and nobody else, have in common. scope: of the aggregation.

    Raises Refused for a public key that agrees on nothing.
    """
    try:
        shared = X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise Refused(f"The keys of {other} cannot be used.") from None
    return _derived(shared, [purpose, scope, *sorted((one, other))])


def own_seed(secret: bytes, scope: str, hospital: str) -> bytes:
    """Of a hospital's mask on itself."""
    return _derived(secret, ["self", scope, hospital])


def public_of(secret: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def add_mask(total: Ring, seed: bytes, sign: int) -> None:
    """Adds (sign 1) or takes away (sign -1) the mask of a seed, in place."""
    stream = Cipher(AES256(seed), CTR(bytes(16))).encryptor()
    for at in range(0, len(total), _CHUNK):
        part = total[at : at + _CHUNK]
        mask = np.frombuffer(stream.update(memoryview(_ZEROS)[: part.nbytes]), "<u8")
        (np.add if sign > 0 else np.subtract)(part, mask, out=part)


def sign_of(mine: str, theirs: str) -> int:
    """Of the pair's mask at `mine`: what one adds the other takes away."""
    return 1 if mine < theirs else -1


def seal(key: bytes, plaintext: bytes, scope: str, sender: str, recipient: str) -> bytes:
    """key: of this pair and aggregation; each direction has a nonce of its own."""
    return ChaCha20Poly1305(key).encrypt(_nonce(sender, recipient), plaintext, _about(scope, sender, recipient))


def unseal(key: bytes, sealed: bytes, scope: str, sender: str, recipient: str) -> bytes:
    """Raises Refused for what the sender did not seal for this recipient and aggregation."""
    try:
        return ChaCha20Poly1305(key).decrypt(_nonce(sender, recipient), sealed, _about(scope, sender, recipient))
    except InvalidTag:
        raise Refused(f"A share said to be from {sender} is not from them.") from None


def _derived(secret: bytes, about: list[str]) -> bytes:
    info = b"wardround/1/secure-aggregation/" + canonical_json(about)
    return HKDF(SHA256(), 32, salt=None, info=info).derive(secret)


def _nonce(sender: str, recipient: str) -> bytes:
    return bytes([1 if sender < recipient else 2]) + bytes(11)


def _about(scope: str, sender: str, recipient: str) -> bytes:
    return canonical_json([scope, sender, recipient])
