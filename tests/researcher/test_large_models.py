"""What a round of a large model takes of the researcher's memory, by the operating system's own count."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.large_rounds import MODEL_BYTES


@contextmanager
def _party(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.support.large_rounds", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def _anonymous(process: int) -> int:
    """Bytes that the process has in memory and nowhere else; files that are mapped do not count."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) * 1024 if "RssAnon:" in status else 0  # it has ended


@pytest.mark.parametrize("hospitals", [3, 6])
def test_a_round_takes_the_sum_in_float64_and_no_more_whatever_the_number_of_hospitals(
    tmp_path: Path, hospitals: int
) -> None:
    most = 0
    with _party("researcher", str(tmp_path), str(hospitals)) as researcher:
        before = _anonymous(researcher.pid)
        with _party("hospitals", str(tmp_path), str(hospitals)):
            assert researcher.stdin
            assert researcher.stdout
            researcher.stdin.write("\n")
            researcher.stdin.flush()
            while researcher.poll() is None:
                most = max(most, _anonymous(researcher.pid))
                time.sleep(0.005)
            mean = str(1.0 + (hospitals - 1) / 2)
            assert researcher.stdout.read().split() == [mean, mean]
    assert 2 * MODEL_BYTES < most - before < 3 * MODEL_BYTES
