"""The project's wheel, built twice: the same source must give the same bytes, so that anybody can check a release."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
# of what is inside: the first second that a zip archive can tell, as the source has no time of its own
_EPOCH = "315532800"


def built_twice() -> tuple[str, str]:
    """SHA-256 of two builds of the committed source, in two folders."""
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory(suffix="-elsewhere") as second:
        return _build(Path(first)), _build(Path(second))


def _build(folder: Path) -> str:
    source, out = folder / "source", folder / "out"
    source.mkdir()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(source)], input=archive, check=True)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(out), str(source)],
        env={**os.environ, "SOURCE_DATE_EPOCH": _EPOCH, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        check=True,
    )
    (wheel,) = out.glob("*.whl")
    return hashlib.sha256(wheel.read_bytes()).hexdigest()
