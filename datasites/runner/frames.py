"""Frames on a pipe: eight bytes of length, big-endian, then that many bytes."""

from __future__ import annotations

import os
import select
import struct
from collections.abc import Callable

from datasites.wire.pieces import Pieces
from datasites.wire.spool import Buffer, Spool

_LENGTH = struct.Struct(">Q")
_LARGE = 1 << 20

Wait = Callable[[int, int], None]
"""Called with a file descriptor and POLLIN or POLLOUT; returns when it is ready, or raises to give up."""


class Closed(Exception):
    """The other side has closed the pipe."""


class TooLarge(Exception):
    """The announced frame is larger than may be read; nothing of it was."""


def blocking(descriptor: int, event: int) -> None:
    """The `Wait` for descriptors in blocking mode: reading or writing them waits by itself."""


def read_frame(descriptor: int, max_bytes: int, wait: Wait = blocking) -> bytes:
    """One whole frame. Raises Closed, TooLarge, or what `wait` raises."""
    (length,) = _LENGTH.unpack(_read(descriptor, _LENGTH.size, wait))
    if length > max_bytes:
        raise TooLarge
    return _read(descriptor, length, wait)


def read_large(descriptor: int, max_bytes: int, wait: Wait, spool: Spool) -> Buffer:
    """As `read_frame`, of a frame that need not be in memory. Raises Unavailable too."""
    (length,) = _LENGTH.unpack(_read(descriptor, _LENGTH.size, wait))
    if length > max_bytes:
        raise TooLarge
    draft, at = spool.draft(length), 0
    while at < length:
        chunk = _read(descriptor, min(length - at, _LARGE), wait)
        draft.write(at, chunk)
        at += len(chunk)
    return draft.done()


def write_frame(descriptor: int, blob: Buffer | Pieces, wait: Wait = blocking) -> None:
    """Writes one whole frame. Raises Closed, or what `wait` raises."""
    pieces = blob if isinstance(blob, Pieces) else Pieces((blob,))
    head = _LENGTH.pack(pieces.size)
    # a small frame in one call, which costs less; a large one is not copied to be joined
    for part in (head, *pieces.parts) if pieces.size > _LARGE else (head + pieces.join(),):
        view = memoryview(part)
        while view:
            wait(descriptor, select.POLLOUT)
            try:
                view = view[os.write(descriptor, view) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise Closed from None


def copy_frame(source: int, target: int) -> None:
    """Moves one whole frame between pipes in blocking mode, without looking at it. Raises Closed."""
    head = _read(source, _LENGTH.size, blocking)
    (missing,) = _LENGTH.unpack(head)
    try:
        os.write(target, head)  # so few bytes are written whole
        while missing:
            moved = os.splice(source, target, min(missing, 1 << 20))
            if moved == 0:
                raise Closed
            missing -= moved
    except BrokenPipeError:
        raise Closed from None


def has_input(descriptor: int, seconds: float = 0) -> bool:
    """Whether bytes can be read now, or within `seconds`. A closed pipe has none."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return any(event & select.POLLIN for _, event in poll.poll(seconds * 1000))


def _read(descriptor: int, length: int, wait: Wait) -> bytes:
    chunks, missing = [], length
    while missing:
        wait(descriptor, select.POLLIN)
        try:
            chunk = os.read(descriptor, min(missing, 1 << 20))
        except BlockingIOError:
            continue
        if not chunk:
            raise Closed
        chunks.append(chunk)
        missing -= len(chunk)
    return b"".join(chunks)
