"""A message's bytes in pieces, in order: a large model's arrays are hashed, sealed and written where they lie, and
never joined in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from datasites.wire.spool import Buffer

_STEP = 1024 * 1024


@dataclass(frozen=True)
class Pieces:
    """Nobody may change what lies in them: the digest is taken once."""

    parts: tuple[Buffer, ...]

    @cached_property
    def size(self) -> int:
        """Bytes of all."""
        return sum(map(len, self.parts))

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of all."""
        taken = hashlib.sha256()
        for part in self.parts:
            taken.update(part)
        return taken.hexdigest()

    def join(self) -> bytes:
        """All of it, in memory."""
        return b"".join(self.parts)

    def chunks(self, size: int = _STEP) -> Iterator[Buffer]:
        """All of it in chunks of `size` bytes; the last one may be shorter."""
        waiting: list[Buffer] = []
        missing = size
        for part in self.parts:
            view = memoryview(part)
            while view:
                taken, view = view[:missing], view[missing:]
                waiting.append(taken)
                missing -= len(taken)
                if not missing:
                    yield waiting[0] if len(waiting) == 1 else b"".join(waiting)
                    waiting, missing = [], size
        if waiting:
            yield b"".join(waiting)
