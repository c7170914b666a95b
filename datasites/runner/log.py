"""The log file: takes what a study prints, cannot fill the disk, and cannot fail a round.

The process of a call prints into a pipe and never holds the file: it could read there what an earlier call printed.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import traceback

_KEPT_FOR_TRACEBACKS = 64 * 1024
_CHUNK = 64 * 1024


class Keeper:
    """Copies from the pipe of each call to the log; of a flood the beginning and, where a traceback is, the end."""

    def __init__(self, descriptor: int, max_bytes: int) -> None:
        self._log, self._written = descriptor, 0
        self._max_bytes = max_bytes
        self._kept = min(_KEPT_FOR_TRACEBACKS, max_bytes // 2)
        self._end = b""

    def take(self, pipe: int) -> bool:
        """Copies what a readable pipe holds now, 64 KiB at most. False when it is at its end."""
        chunk = os.read(pipe, _CHUNK)
        room = max(0, self._max_bytes - self._kept - self._size())
        self._write(chunk[:room])
        self._end = (self._end + chunk[room:])[-self._kept :]
        return bool(chunk)

    def drain(self, pipe: int) -> None:
        """Copies all that a non-blocking pipe holds now, and closes the account of the call."""
        with contextlib.suppress(BlockingIOError):
            while self.take(pipe):
                pass
        self._write(self._end[: max(0, self._max_bytes - self._size())])
        self._end = b""

    def write(self, text: str) -> None:
        """Adds a line of the worker's own."""
        self._write(text.encode("utf-8", "backslashreplace")[-_KEPT_FOR_TRACEBACKS:])

    def _size(self) -> int:
        return max(os.fstat(self._log).st_size, self._written)  # the log of a job on a cluster is a pipe

    def _write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # the file's limit, or a full disk
            self._written += os.write(self._log, data)


def redirect(pipe: int) -> None:
    """Lets all that this process prints go into the pipe."""
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        os.dup2(pipe, descriptor, inheritable=True)
        buffer = io.BufferedWriter(io.FileIO(descriptor, "w", closefd=False))
        setattr(sys, name, io.TextIOWrapper(buffer, encoding="utf-8", errors="backslashreplace", line_buffering=True))


def flush() -> None:
    """Brings into the pipe what was printed so far."""
    with contextlib.suppress(Exception):  # the study may have put anything into sys.stdout
        sys.stdout.flush()
        sys.stderr.flush()


def write_traceback(error: BaseException) -> None:
    """Prints the traceback of `error` after all that was printed before it; never fails."""
    flush()
    with contextlib.suppress(OSError, MemoryError):
        text = "".join(traceback.format_exception(error))
        rest = text.encode("utf-8", "backslashreplace")[-_KEPT_FOR_TRACEBACKS:]
        while rest:
            rest = rest[os.write(2, rest) :]
