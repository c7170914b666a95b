"""The worker's stdout and stderr: a log file that cannot fill the disk and cannot fail a round."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import traceback

_KEPT_FOR_TRACEBACKS = 64 * 1024


class Log(io.RawIOBase):
    """Writes to an open file, and silently drops what the file's limit or the disk does not take."""

    def __init__(self, descriptor: int, max_bytes: int) -> None:
        self._descriptor = descriptor
        self._max_bytes = max_bytes

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, data: object) -> int:
        chunk = memoryview(data).cast("B")  # type: ignore[arg-type]
        with contextlib.suppress(OSError):
            if os.fstat(self._descriptor).st_size + len(chunk) <= self._max_bytes:
                os.write(self._descriptor, chunk)
        return len(chunk)


def redirect(file_bytes: int) -> None:
    """Puts a Log behind sys.stdout and sys.stderr, leaving room below `file_bytes` for tracebacks."""
    room = file_bytes - min(_KEPT_FOR_TRACEBACKS, file_bytes // 2)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        text = io.TextIOWrapper(
            io.BufferedWriter(Log(descriptor, room)), encoding="utf-8", errors="backslashreplace", line_buffering=True
        )
        setattr(sys, name, text)


def flush() -> None:
    """Brings to the file what was printed so far."""
    with contextlib.suppress(Exception):  # the study may have put anything into sys.stdout
        sys.stdout.flush()
        sys.stderr.flush()


def write_traceback(error: BaseException) -> None:
    """Writes the traceback of `error` to the log, after all that was printed before it; never fails."""
    flush()
    with contextlib.suppress(OSError, MemoryError):
        text = "".join(traceback.format_exception(error))
        os.write(2, text.encode("utf-8", "backslashreplace")[-_KEPT_FOR_TRACEBACKS:])
