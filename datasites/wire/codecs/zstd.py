"""Entropy coding of the whole blob with Zstandard (RFC 8878), from Arrow.

Arrow is imported where it is used: the gate's and the worker's processes know compressions, but use none.
"""

from __future__ import annotations

from datasites.wire.codecs.base import DAMAGED, Reader, number
from policies.errors import InvalidInput

_LEVEL = 9
_HEAD = 16
words = "and what follows from its neighbours is left out (Zstandard)"


def encode(plain: bytes) -> bytes:
    """Never more than 16 bytes longer: what does not get shorter stays as it is."""
    import pyarrow as pa

    packed = bytes(pa.Codec("zstd", compression_level=_LEVEL).compress(plain, asbytes=True)) if plain else b""
    return number(len(plain)) + (number(len(packed)) + packed if len(packed) < len(plain) else number(0) + plain)


def decode(reader: Reader, most: int) -> bytes:
    """At most `most` bytes. Raises InvalidInput for what `encode` never writes."""
    size, packed = reader.number(most), reader.number(most)
    if not packed:
        return reader.take(size)
    import pyarrow as pa

    try:
        plain = bytes(pa.Codec("zstd").decompress(reader.take(packed), size, asbytes=True))
    except (OSError, ValueError):
        raise InvalidInput(DAMAGED) from None
    if len(plain) != size:
        raise InvalidInput(DAMAGED)
    return plain


def most_bytes(plain: int) -> int:
    return _HEAD + plain
