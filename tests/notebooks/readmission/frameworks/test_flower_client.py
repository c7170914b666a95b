"""An unchanged Flower client as a study."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import researcher as wr
from datasites.wire.dictionary import Dictionary
from notebooks.readmission import synthetic
from policies.examples import example

FOLDER = Path(__file__).parents[4] / "notebooks" / "readmission" / "frameworks" / "flower_client"
CONFIG: dict[str, Any] = {"seed": 1, "split_seed": 1}
ROUND = """
import json, os, sys
import numpy as np, pandas as pd, torch
if sys.argv[3] == "installed":  # Flower itself, not the stand-in
    folder = sys.path.pop(0)
    import flwr.client
    assert os.getcwd() not in flwr.__file__
    sys.path.insert(0, folder)
import study
torch.set_num_threads(1)
config = {"seed": 1, "split_seed": 1, "round": 1}
table = pd.read_parquet(sys.argv[1])
state, examples, _ = study.fit(study.initialize(config), table, config)
np.savez(sys.argv[2], **state)
print(json.dumps([examples, *study.evaluate(state, table, config)]))
"""


def _round(tmp_path: Path, table: pd.DataFrame, flower: str) -> tuple[dict[str, np.ndarray], list[Any]]:
    """In a process of its own, for two packages cannot both be `flwr` in one."""
    table.to_parquet(tmp_path / "table.parquet")
    arguments = [str(tmp_path / "table.parquet"), str(tmp_path / f"{flower}.npz"), flower]
    done = subprocess.run(
        [sys.executable, "-c", ROUND, *arguments], cwd=FOLDER, capture_output=True, text=True, check=True
    )
    return dict(np.load(tmp_path / f"{flower}.npz")), json.loads(done.stdout.splitlines()[-1])


def test_the_standard_policy_has_nothing_against_the_code() -> None:
    files = {path.relative_to(FOLDER).as_posix(): path.read_text() for path in FOLDER.rglob("*.py")}
    assert example("standard").check_code(files) == []


def test_the_client_knows_nothing_of_where_it_runs() -> None:
    text = (FOLDER / "client.py").read_text()
    assert {line.split()[1] for line in text.splitlines() if line.startswith(("import ", "from "))} == {
        "collections",
        "flwr.client",
        "torch",
        "torch.utils.data",
    }


def test_hospitals_without_flower_run_it_in_their_sandbox(dictionary: Dictionary) -> None:
    tables = synthetic.generate(["north", "south"], 400, seed=3)
    study = wr.Study("flower-client", "Test", FOLDER, "readmission", 2, CONFIG)
    result = wr.simulate(study, tables, dictionary, processes=1)
    assert (result.hospitals["problem"] == "").all()
    losses = result.rounds["mean_loss"].tolist()
    assert losses[-1] < losses[0]


def test_it_trains_what_it_does_under_flower_itself(tmp_path: Path, study_table: pd.DataFrame) -> None:
    if importlib.util.find_spec("flwr") is None:
        pytest.skip("Flower is not installed: pip install '.[flower]'")
    ours, theirs = (_round(tmp_path, study_table, flower) for flower in ("stand-in", "installed"))
    assert ours[1] == theirs[1]
    assert all(np.array_equal(array, theirs[0][name]) for name, array in ours[0].items())
