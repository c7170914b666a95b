"""What benchmarks find, for the report: each is run as it stands, and its own RESULT line is read."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks import private_auc


def started(name: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", f"benchmarks.{name}", *arguments], stdout=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> tuple[dict[str, Any], bool]:
    """Its figures, and whether it reached its aim."""
    text, _ = process.communicate()
    return result_of(text), process.returncode == 0


def auc(seeds: int) -> tuple[dict[str, Any], bool] | None:
    """AUC by epsilon on the real table, the picture in the docs left as it is; None where there is no such table."""
    if not private_auc.DATA.exists():
        return None
    text = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(text):
        picture = mock.patch.object(private_auc, "PICTURE", Path(folder) / "auc.png")
        with picture, mock.patch.object(private_auc, "SEEDS", seeds):
            status = private_auc.main()
    return result_of(text.getvalue()), status == 0


def result_of(text: str) -> dict[str, Any]:
    """Of the last line that begins with RESULT; nothing where the benchmark broke off."""
    lines = [line for line in text.splitlines() if line.startswith("RESULT ")]
    found: dict[str, Any] = json.loads(lines[-1].removeprefix("RESULT ")) if lines else {}
    return found
