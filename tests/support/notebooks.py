"""Notebooks as their readers run them: from top to bottom, in a kernel of their own, in their own folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat

FOLDER = Path(__file__).parents[2] / "notebooks"
SECONDS = 600  # much of a machine may be others'


@contextmanager
def running_federation(folder: Path) -> Iterator[Path]:
    """`make federation`, in a folder of its own."""
    command = [sys.executable, "-m", "notebooks.demo.federation", "--folder", str(folder)]
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(command, cwd=FOLDER.parent, stdout=out, stderr=out)
    try:
        until = time.monotonic() + 240
        while "READY" not in (said := (folder / "out").read_text()):
            assert process.poll() is None, said
            assert time.monotonic() < until, said
            time.sleep(0.2)
        yield folder
    finally:
        process.terminate()
        process.wait(60)


def start(name: str, demo: Path) -> subprocess.Popen[bytes]:
    """demo: where the local federation is; the executed notebook and what its kernel logged go there too."""
    command = [sys.executable, "-m", "jupyter", "execute", name, f"--output={demo / name}", f"--timeout={SECONDS}"]
    with (demo / f"{name}.log").open("wb") as log:
        environment = {**os.environ, "WARDROUND_DEMO": str(demo)}
        return subprocess.Popen(command, cwd=FOLDER, env=environment, stdout=log, stderr=log)


def finished(name: str, process: subprocess.Popen[bytes], demo: Path) -> nbformat.NotebookNode:
    """With its outputs. Fails with the end of the log where a cell did."""
    assert process.wait(SECONDS) == 0, (demo / f"{name}.log").read_text()[-3000:]
    return nbformat.read(demo / name, as_version=4)


def executed(name: str, demo: Path) -> nbformat.NotebookNode:
    return finished(name, start(name, demo), demo)


def outputs(notebook: nbformat.NotebookNode, form: str) -> list[str]:
    return [o.data[form] for c in notebook.cells for o in c.get("outputs", []) if form in o.get("data", {})]


def shown(notebook: nbformat.NotebookNode) -> str:
    """All of it as plain text, without colours. What a command prints comes in pieces of any size."""
    found = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = [o.get("text") or str(o.get("data", {}).get("text/plain", "")) + "\n" for o in found]
    return re.sub(r"\x1b\[[\d;]*m", "", "".join(texts))
