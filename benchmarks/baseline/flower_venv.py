"""Flower's own virtual environment: it pins other versions of typer and rich than Wardround uses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.baseline.workload import ROOT, BaselineFailed

FLOWER = "flwr==1.41.0"
VENV = ROOT / ".venv-flower"
_MINUTES = 15


def ensure_venv(path: Path = VENV) -> Path:
    """The environment at `path`, made on first use (about a gigabyte). Raises BaselineFailed where pip cannot."""
    ready = path / "installed.txt"
    if ready.exists() and ready.read_text() == FLOWER:
        return path
    _run([sys.executable, "-m", "venv", str(path)])
    pip = [str(path / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "torch==2.13.0"])  # by itself, so that a CPU build is taken where pip is set up to find one
    _run([*pip, FLOWER, "numpy", "pandas"])
    ready.write_text(FLOWER)
    return path


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_MINUTES * 60)
    except subprocess.TimeoutExpired:
        raise BaselineFailed(f"Not done after {_MINUTES} minutes: {' '.join(command)}") from None
    if done.returncode:
        raise BaselineFailed(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
