from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datasites.wire.files import private_folder, write_atomically
from tests.support.federation import wait_for


def test_the_content_is_replaced_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_atomically(path, b"first and longer")
    write_atomically(path, b"second")
    assert path.read_bytes() == b"second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["file"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_content_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_killed_writer_leaves_whole_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    size = 200_000
    loop = f"""
import itertools, pathlib
from datasites.wire.files import write_atomically
for n in itertools.cycle(b"ab"):
    write_atomically(pathlib.Path({str(path)!r}), bytes([n]) * {size})
"""
    writer = subprocess.Popen([sys.executable, "-c", loop])
    wait_for(path.exists, "the first content")
    time.sleep(0.05)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert path.read_bytes() in (b"a" * size, b"b" * size)


def test_a_private_folder_is_closed_even_if_it_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True, mode=0o755)
    private_folder(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
