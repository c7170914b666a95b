"""The demo, run as `make demo` runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "diabetic_data.csv.gz"


def demo(folder: Path, *options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "notebooks.demo", "--folder", str(folder), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=540)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("RESULT ")
    return dict(json.loads(last.removeprefix("RESULT ")))


@pytest.mark.slow
def test_demo_ends_with_a_model_a_plot_and_its_figures(tmp_path: Path) -> None:
    result = demo(tmp_path)
    assert result.keys() == {"federated_auc", "site_auc", "pooled_auc", "rounds", "sites", "rows", "seconds"}
    assert (result["sites"], result["rounds"], len(result["site_auc"])) == (3, 12, 3)
    assert result["federated_auc"] > max(result["site_auc"])
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert "0.weight" in load_file(tmp_path / "model.safetensors")


@pytest.mark.slow
@pytest.mark.real_data
def test_real_data_reaches_the_documented_auc(tmp_path: Path) -> None:
    if not DATA.is_file():
        pytest.skip(f"the real readmission table is not at {DATA.relative_to(ROOT.parent)} beside the project")
    result = demo(tmp_path, "--data", str(DATA), "--rounds", "7")
    assert result["rows"] == 99_340
    assert result["federated_auc"] >= 0.670
    assert result["federated_auc"] > max(result["site_auc"])


def test_a_wrong_number_of_sites_is_told_in_one_sentence(tmp_path: Path) -> None:
    if not DATA.is_file():
        pytest.skip("the real readmission table is not beside the project")
    command = [sys.executable, "-m", "notebooks.demo", "--folder", str(tmp_path), "--data", str(DATA), "--sites", "4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "Choose 3, 5 or 20" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
