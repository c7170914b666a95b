"""Large objects in the store, as parts of 2 MiB each, so that a transfer that was cut off goes on where it stopped.

A store's client gives one request 30 seconds: a model of 100 MB would never get over a line of 10 Mbit/s in one piece,
and after each failure begin anew. Under the object's own name lies an index, written last, that names its parts by the
digest of the whole. A part that is there already, of the right size, is not sent again, also after the writer was
killed; a reader keeps what it has read until the object is whole.

Nobody trusts parts: what they make up is opened as any other object is, by who signed and encrypted it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from datasites.wire.spool import Buffer, Draft

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
    def of(cls, data: Buffer) -> Index:
        return cls(hashlib.sha256(data).hexdigest(), len(data))

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
class _Begun:
    """An object of which some parts were read. there: where those begin."""

    draft: Draft
    there: set[int] = field(default_factory=set)


@dataclass
class HalfRead:
    """Objects that were not read to their end, by digest; the oldest are let go. Safe for threads."""

    _begun: dict[Index, _Begun] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(
        self, key: str, index: Index, get: Callable[[str, int], bytes | None], draft: Callable[[int], Draft]
    ) -> Buffer | None:
        """The object, or None where a part is missing or is not of its size. get(name, most): as of a store. draft: of
        so many bytes, which it is written into."""
        with self._lock:  # taken out: nobody else may write into what this one gives away
            begun = self._begun.pop(index, None)
        begun = begun or _Begun(draft(index.size))
        try:
            for name, start, size in index.parts(key):
                if start in begun.there:
                    continue
                part = get(name, size)
                if part is None or len(part) != size:
                    self._keep(index, begun)
                    return None
                begun.draft.write(start, part)
                begun.there.add(start)
        except BaseException:
            self._keep(index, begun)
            raise
        return begun.draft.done()

    def _keep(self, index: Index, begun: _Begun) -> None:
        with self._lock:
            self._begun[index] = begun
            for oldest in list(self._begun)[:-_HALF_READ]:
                del self._begun[oldest]
