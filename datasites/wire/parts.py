"""Large objects in the store, as parts of 2 MiB each, so that a transfer that was cut off goes on where it stopped.

A store's client gives one request 30 seconds: a model of 100 MB would never get over a line of 10 Mbit/s in one piece,
and after each failure begin anew. Under the object's own name lies an index, written last, that names its parts by the
digest of the whole. A part that is there already, of the right size, is not sent again, also after the writer was
killed; a reader keeps what it has read until the object is whole.

Nobody trusts parts: what they make up is opened as any other object is, by who signed and encrypted it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from datasites.wire.canonical import sha256

PART_BYTES = 2 * 1024 * 1024
FOLDER = "parts"
_MAGIC = b"wardround parts 1\n"  # no envelope, JSON document or archive begins like this
MOST_INDEX = 200
_HALF_READ = 2  # objects of which parts are kept


@dataclass(frozen=True)
class Index:
    """What lies under the name of an object in parts. digest: SHA-256 of the whole, in hex; size: its bytes."""

    digest: str
    size: int

    @classmethod
    def of(cls, data: bytes) -> Index:
        return cls(sha256(data), len(data))

    @classmethod
    def parse(cls, found: bytes) -> Index | None:
        """None for any other object, and for an index that nobody here writes."""
        if not found.startswith(_MAGIC) or len(found) > MOST_INDEX:
            return None
        try:
            digest, size = json.loads(found[len(_MAGIC) :])
        except (ValueError, TypeError, RecursionError):
            return None
        known = isinstance(digest, str) and len(digest) == 64 and set(digest) <= set("0123456789abcdef")
        whole = type(size) is int and size > PART_BYTES
        return cls(digest, size) if known and whole else None

    def encode(self) -> bytes:
        return _MAGIC + json.dumps([self.digest, self.size]).encode()

    def parts(self, key: str) -> Iterator[tuple[str, int, int]]:
        """(name, start, size) of each part of the object under `key`."""
        for number, start in enumerate(range(0, self.size, PART_BYTES)):
            yield f"{folder(key)}/{self.digest}/{number:06d}", start, min(PART_BYTES, self.size - start)


def folder(key: str) -> str:
    """Where the parts of the object under `key` lie: apart from it, for who lists objects must not meet parts."""
    return f"{FOLDER}/{key}"


@dataclass
class HalfRead:
    """Parts of objects that were not read to their end, by digest; the oldest are let go. Safe for threads."""

    _parts: dict[str, dict[str, bytes]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, key: str, index: Index, get: Callable[[str, int], bytes | None]) -> bytes | None:
        """The object, or None where a part is missing or is not of its size. get(name, most): as of a store."""
        with self._lock:
            have = self._parts.pop(index.digest, {})
            self._parts[index.digest] = have
            for oldest in list(self._parts)[:-_HALF_READ]:
                del self._parts[oldest]
        for name, _, size in index.parts(key):
            if name not in have:
                part = get(name, size)
                if part is None or len(part) != size:
                    return None
                have[name] = part
        with self._lock:
            self._parts.pop(index.digest, None)
        return b"".join(have[name] for name, _, _ in index.parts(key))
