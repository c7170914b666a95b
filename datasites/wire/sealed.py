"""Content under a passphrase: ChaCha20-Poly1305 with a key by scrypt (RFC 7914), as a small JSON object.

What stands beside the sealed part is readable, and cannot be changed unseen.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from datasites.wire.canonical import canonical_json

COST = {"length": 32, "n": 2**16, "r": 8, "p": 1}  # 64 MiB; never taken from a file
FIELDS = ("salt", "nonce", "sealed")


def seal(content: bytes, passphrase: bytes, beside: Mapping[str, str]) -> dict[str, str]:
    """`beside`, and the sealed content with its salt and nonce."""
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    outside = {**beside, "salt": base64.b64encode(salt).decode(), "nonce": base64.b64encode(nonce).decode()}
    sealed = _cipher(passphrase, salt).encrypt(nonce, content, canonical_json(outside))
    return {**outside, "sealed": base64.b64encode(sealed).decode()}


def unseal(document: Mapping[str, Any], passphrase: bytes) -> bytes | None:
    """The content; None for another passphrase, or where anything was changed."""
    outside = {name: value for name, value in document.items() if name != "sealed"}
    try:
        salt, nonce, sealed = (base64.b64decode(document[name], validate=True) for name in FIELDS)
        if (len(salt), len(nonce)) != (16, 12):
            return None
        return _cipher(passphrase, salt).decrypt(nonce, sealed, canonical_json(outside))
    except (ValueError, TypeError, KeyError, InvalidTag):
        return None


def _cipher(passphrase: bytes, salt: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(Scrypt(salt=salt, **COST).derive(passphrase))
