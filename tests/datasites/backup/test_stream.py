from __future__ import annotations

import io
import secrets

import pytest

from datasites.backup.stream import CHUNK, Reader, Writer
from policies.errors import InvalidInput

PASSPHRASE = b"correct horse"
_CHUNK = CHUNK + 16


def sealed(content: bytes) -> bytes:
    target = io.BytesIO()
    writer = Writer(target, PASSPHRASE, {"kind": "test"})
    for start in range(0, len(content), 700_000):
        writer.write(content[start : start + 700_000])
    writer.close()
    return target.getvalue()


def opened(data: bytes, passphrase: bytes = PASSPHRASE) -> bytes:
    reader, found = Reader(io.BytesIO(data), passphrase), b""
    while part := reader.read(300_000):
        found += part
    return found


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 5])
def test_what_is_sealed_is_opened(size: int) -> None:
    content = secrets.token_bytes(size)
    data = sealed(content)
    assert opened(data) == content
    assert content[:32] not in data or size == 0 or size < 32


def test_nothing_can_be_changed_moved_left_out_or_cut_off() -> None:
    data = sealed(secrets.token_bytes(3 * CHUNK + 5))
    line = data.index(b"\n") + 1
    first, second = data[line : line + _CHUNK], data[line + _CHUNK : line + 2 * _CHUNK]
    flipped = bytearray(data)
    flipped[line + 100] ^= 1
    changed = {
        "a byte": bytes(flipped),
        "chunks in another order": data[:line] + second + first + data[line + 2 * _CHUNK :],
        "a chunk left out": data[:line] + data[line + _CHUNK :],
        "cut off between chunks": data[: line + 2 * _CHUNK],
        "cut off within a chunk": data[:-3],
        "something behind it": data + b"x",
        "another first line": data.replace(b'"test"', b'"else"'),
        "nothing but the first line": data[:line],
    }
    for what, bad in changed.items():
        with pytest.raises(InvalidInput, match="does not open"):
            pytest.fail(f"{what}: {len(opened(bad))} bytes")


def test_another_passphrase_opens_nothing() -> None:
    with pytest.raises(InvalidInput, match="does not open"):
        opened(sealed(b"content"), b"another one")


@pytest.mark.parametrize("rubbish", [b"", b"\n", b"{}", b"[]\n", b"x" * 10_000, b'{"a":1}'])
def test_rubbish_is_no_backup(rubbish: bytes) -> None:
    with pytest.raises(InvalidInput, match="no backup"):
        Reader(io.BytesIO(rubbish), PASSPHRASE)
