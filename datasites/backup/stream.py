"""A sealed file of any size, written and read in one pass: STREAM (Hoang, Reyhanitabar, Rogaway, Vizar, CRYPTO 2015)
over ChaCha20-Poly1305 in chunks of 1 MiB, with a key by scrypt; as the file encryption `age` does it.

The first line is readable JSON. Neither it nor any chunk can be changed, left out, moved or cut off unseen.
"""

from __future__ import annotations

import base64
import json
import secrets
from typing import IO, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from datasites.wire.canonical import canonical_json
from datasites.wire.sealed import COST
from policies.errors import InvalidInput

CHUNK, _TAG, _MOST_HEADER = 1024 * 1024, 16, 4096


class Writer:
    """A file for `tarfile`; `close` ends it, and without that it does not open."""

    def __init__(self, target: IO[bytes], passphrase: bytes, header: dict[str, Any]) -> None:
        salt = secrets.token_bytes(16)
        line = canonical_json({**header, "salt": base64.b64encode(salt).decode()})
        target.write(line + b"\n")
        self._target, self._cipher = target, _Chunks(passphrase, salt, line)
        self._waiting = bytearray()

    def write(self, data: bytes) -> int:
        self._waiting += data
        while len(self._waiting) > CHUNK:  # the last one, of whatever length, is sealed by `close`
            self._target.write(self._cipher.seal(bytes(self._waiting[:CHUNK]), last=False))
            del self._waiting[:CHUNK]
        return len(data)

    def close(self) -> None:
        self._target.write(self._cipher.seal(bytes(self._waiting), last=True))


class Reader:
    """What `Writer` wrote, in order. Raises InvalidInput for another passphrase, or where anything was changed."""

    def __init__(self, source: IO[bytes], passphrase: bytes) -> None:
        line, self.header = read_header(source)
        try:
            salt = base64.b64decode(self.header["salt"], validate=True)
        except (KeyError, ValueError, TypeError):
            raise _damaged() from None
        self._source, self._cipher = source, _Chunks(passphrase, salt, line)
        self._ahead = source.read(CHUNK + _TAG)
        self._plain = bytearray()
        self._over = False

    def read(self, size: int) -> bytes:
        while len(self._plain) < size and not self._over:
            self._next()
        found = bytes(self._plain[:size])
        del self._plain[:size]
        return found

    def _next(self) -> None:
        chunk, self._ahead = self._ahead, self._source.read(CHUNK + _TAG)
        self._over = not self._ahead
        try:
            self._plain += self._cipher.open(chunk, last=self._over)
        except InvalidTag:
            raise _damaged() from None


class _Chunks:
    def __init__(self, passphrase: bytes, salt: bytes, line: bytes) -> None:
        self._cipher = ChaCha20Poly1305(Scrypt(salt=salt, **COST).derive(passphrase))
        self._line, self._number = line, 0

    def seal(self, chunk: bytes, last: bool) -> bytes:
        return self._cipher.encrypt(self._nonce(last), chunk, self._line)

    def open(self, chunk: bytes, last: bool) -> bytes:
        return self._cipher.decrypt(self._nonce(last), chunk, self._line)

    def _nonce(self, last: bool) -> bytes:
        number, self._number = self._number, self._number + 1
        return number.to_bytes(11, "big") + bytes([last])


def read_header(source: IO[bytes]) -> tuple[bytes, dict[str, Any]]:
    """The first line, and what it says; nothing of it is believed yet. Raises InvalidInput."""
    line = source.readline(_MOST_HEADER)
    try:
        header = json.loads(line)
        if not line.endswith(b"\n") or not isinstance(header, dict):
            raise ValueError
    except (ValueError, RecursionError):
        raise InvalidInput("This file is no backup of a datasite.", "Make one: wardround datasite backup.") from None
    return line[:-1], header


def _damaged() -> InvalidInput:
    return InvalidInput("The backup does not open.", "Check the passphrase; or the file was damaged: use another one.")
