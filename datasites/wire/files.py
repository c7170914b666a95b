"""Small private files that survive `kill -9`: written aside, synced, then renamed into place."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datasites.wire.pieces import Pieces
from datasites.wire.spool import Buffer


def private_folder(path: Path) -> Path:
    """Creates `path` (0700), parents too."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def write_atomically(path: Path, data: Buffer | Pieces) -> None:
    """Replaces the content of `path` (0600). After a crash the file holds the old bytes or the new ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            for part in data.parts if isinstance(data, Pieces) else (data,):
                stream.write(part)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """While nobody else holds the lock file `path`, in this process or another; waits for it. Not to be nested."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def sync_folder(path: Path) -> None:
    """Makes renames and new names in the folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
