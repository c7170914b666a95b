"""Both notebooks, executed from top to bottom side by side against the running demo, as their readers would."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from safetensors.numpy import load_file

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"


@pytest.fixture(scope="module")
def running_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    tmp_path = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "notebooks.demo.federation", "--folder", str(tmp_path)]
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out)
    try:
        until = time.monotonic() + 240
        while "READY" not in (said := (tmp_path / "out").read_text()):
            assert process.poll() is None, said
            assert time.monotonic() < until, said
            time.sleep(0.2)
        yield tmp_path
    finally:
        process.terminate()
        process.wait(60)


def start(name: str, demo: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "jupyter", "execute", name, f"--output={demo / name}", "--timeout=600"]
    with (demo / f"{name}.log").open("wb") as log:
        environment = {**os.environ, "WARDROUND_DEMO": str(demo)}
        return subprocess.Popen(command, cwd=NOTEBOOKS, env=environment, stdout=log, stderr=log)


def outputs(notebook: nbformat.NotebookNode, form: str) -> list[str]:
    return [o.data[form] for c in notebook.cells for o in c.get("outputs", []) if form in o.get("data", {})]


def shown(notebook: nbformat.NotebookNode) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(str(output.get("data", {}).get("text/plain", output.get("text", ""))) for output in outputs)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_study_from_both_sides(running_demo: Path) -> None:
    names = ("researcher.ipynb", "data_owner.ipynb")
    running = {name: start(name, running_demo) for name in names}
    for name, process in running.items():
        assert process.wait(600) == 0, (running_demo / f"{name}.log").read_text()[-3000:]
    researcher_saw, owner_saw = (nbformat.read(running_demo / name, as_version=4) for name in names)
    assert "after 8 rounds" in shown(researcher_saw)
    assert any("image/png" in o.get("data", {}) for c in researcher_saw.cells for o in c.get("outputs", []))
    assert "approved" in shown(owner_saw)
    assert shown(owner_saw).count("released") >= 8
    assert "The metric 'longest_stay' is not among those that may leave." in shown(owner_saw)
    pages = "".join(str(html) for html in outputs(owner_saw, "text/html"))
    for part in ("A table with fewer than 50 patients takes part in no study.", "What the policy says", "+        "):
        assert part in pages
    assert "The longest stay is one patient's own number." in shown(researcher_saw)
    assert load_file(running_demo / "model.safetensors")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_private_study(running_demo: Path) -> None:
    process = start("private.ipynb", running_demo)
    assert process.wait(600) == 0, (running_demo / "private.ipynb.log").read_text()[-3000:]
    saw = shown(nbformat.read(running_demo / "private.ipynb", as_version=4))
    assert "No code of theirs runs" in saw
    assert "AUC 0." in saw
    assert saw.count("committed") == 4  # three rounds and an evaluation were paid for


@pytest.mark.parametrize("name", sorted(path.name for path in NOTEBOOKS.glob("*.ipynb")))
def test_notebooks_are_kept_stripped(name: str) -> None:
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    assert not [c for c in notebook.cells if c.get("outputs") or c.get("execution_count")]
