"""Where large messages lie while they are worked on: in files without a name, which the kernel takes out of memory when
it needs room, and which are gone with the process however that ends.

A file lies in a private folder of the participant's own, on its disk: `/tmp` may be memory. It is written by system
calls, so that a full disk is an error of the one that writes (a page of a mapped file that finds no room would end the
process), and only then mapped, for reading. Small messages are plain bytes.
"""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from policies.errors import DiskFull, Unavailable

Buffer = bytes | memoryview  # a view is of single bytes
SMALL = 8 * 1024 * 1024  # what is smaller stays in memory


class Draft(Protocol):
    """A buffer that is being written, each byte once, in any order."""

    def write(self, start: int, data: Buffer) -> None:
        """Raises Unavailable, of which DiskFull is one."""

    def done(self) -> Buffer:
        """What was written, once all of it was; then nothing can be written any more."""


class Spool:
    """Buffers of any size. folder: an existing one of the participant's own; memory alone, where there is none."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def draft(self, size: int) -> Draft:
        """An empty buffer of `size` bytes. Raises Unavailable."""
        return _InMemory(size) if self._folder is None or size < SMALL else _InFile(self._folder, size)


MEMORY = Spool()


class _InMemory:
    """Takes memory for what is written, and none for a size that somebody has claimed."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._parts: dict[int, bytes] = {}

    def write(self, start: int, data: Buffer) -> None:
        self._parts[start] = bytes(data)

    def done(self) -> Buffer:
        whole = b"".join(self._parts[start] for start in sorted(self._parts))
        if len(whole) != self._size:
            raise ValueError("not written whole")
        return whole


class _InFile:
    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._size = folder, size
        with _plain_errors(folder):
            # of mode 0600, and never under a name where the disk knows files without one
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        weakref.finalize(self, self._file.close)  # of a draft that is given up

    def write(self, start: int, data: Buffer) -> None:
        left = memoryview(data)
        with _plain_errors(self._folder):
            while left:
                written = os.pwrite(self._file.fileno(), left, start)
                left, start = left[written:], start + written

    def done(self) -> Buffer:
        with self._file, _plain_errors(self._folder):
            return memoryview(mmap.mmap(self._file.fileno(), self._size, access=mmap.ACCESS_READ))


def mapped(path: Path) -> Buffer:
    """A private file's bytes, mapped where they are many. Who replaces the file (see `write_atomically`) changes
    nothing here. A view can be written to: what is changed is this process's own, in memory. Raises OSError."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size < SMALL:
            return file.read()
        return memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY))


@contextmanager
def _plain_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"There is no room for a large message on the disk of {folder}.",
                "Free some space; nothing was lost, trying again is safe.",
            ) from None
        raise Unavailable(f"A large message could not be written into {folder} ({error.strerror}).") from None
