"""Small disks in memory, which tests fill, make read-only and take away; they need the right to mount."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class Disk:
    """A file system of its own at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self) -> None:
        """Takes all room there is, to the last page."""
        with (self.path / ".filler").open("ab", buffering=0) as stream, contextlib.suppress(OSError):
            while True:
                stream.write(b"\0" * 65536)
        for number in range(20):  # single pages
            with contextlib.suppress(OSError):
                (self.path / f".filler-{number}").write_bytes(b"\0" * 4096)

    def make_room(self) -> None:
        for path in self.path.glob(".filler*"):
            path.unlink()

    def read_only(self, on: bool) -> None:
        _mount("-o", f"remount,{'ro' if on else 'rw'}", str(self.path))


@contextlib.contextmanager
def small_disk(path: Path, megabytes: int) -> Iterator[Disk]:
    """Mounts a disk of this size at `path`; skips the test where that is not allowed."""
    path.mkdir(parents=True)
    try:
        _mount("-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(path))
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("This test needs the right to mount a small disk (root, or CAP_SYS_ADMIN).")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def _mount(*words: str) -> None:
    if os.geteuid() != 0:
        raise PermissionError
    subprocess.run(["mount", *words], check=True, capture_output=True)
