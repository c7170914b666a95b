"""Frames on a pipe: eight bytes of length, big-endian, then that many bytes."""

from __future__ import annotations

import os
import select
import struct
from collections.abc import Callable

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


def write_frame(descriptor: int, blob: bytes, wait: Wait = blocking) -> None:
    """Writes one whole frame. Raises Closed, or what `wait` raises."""
    head = _LENGTH.pack(len(blob))
    # a small frame in one call, which costs less; a large one is not copied to be joined to its length
    for part in (head, blob) if len(blob) > _LARGE else (head + blob,):
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
