"""The project's wheel, built twice: the same source must give the same bytes, so that anybody can check a release."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SOURCE = ("pyproject.toml", "README.md", "LICENSE", "policies", "datasites", "researcher", "notebooks")
# of what is inside: the first second that a zip archive can tell, as the source has no time of its own
_EPOCH = "315532800"


def built_twice() -> tuple[str, str]:
    """SHA-256 of two builds of the source as it lies here, in two folders."""
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory(suffix="-elsewhere") as second:
        return _build(Path(first)), _build(Path(second))


def _build(folder: Path) -> str:
    source, out = folder / "source", folder / "out"
    source.mkdir()
    for name in _SOURCE:
        whole = ROOT / name
        if whole.is_dir():
            shutil.copytree(whole, source / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        else:
            shutil.copy(whole, source / name)
    for path in source.rglob("*"):  # as the wheel would tell what the machine that built it makes of new files
        path.chmod(0o755 if path.is_dir() else 0o644)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(out), str(source)],
        env={**os.environ, "SOURCE_DATE_EPOCH": _EPOCH, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        check=True,
    )
    (wheel,) = out.glob("*.whl")
    return hashlib.sha256(wheel.read_bytes()).hexdigest()
