from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from datasites.wire.dictionary import Dictionary
from notebooks.readmission import synthetic

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "notebooks" / "readmission"
STUDY = FOLDER / "study"
UCI = ROOT.parent / "shared" / "data" / "diabetic_data.csv.gz"


@pytest.fixture(scope="session")
def code() -> Iterator[SimpleNamespace]:
    """The study's modules, imported as a hospital's worker does: by their short names, from their own folder."""
    names = [path.stem for path in STUDY.glob("*.py")]
    sys.path.insert(0, str(STUDY))
    try:
        yield SimpleNamespace(**{name: import_module(name) for name in names})
    finally:
        sys.path.remove(str(STUDY))
        for name in names:
            sys.modules.pop(name, None)


@pytest.fixture(scope="session")
def dictionary() -> Dictionary:
    return Dictionary.load(FOLDER / "dictionary.toml")


@pytest.fixture(scope="session")
def study_table() -> pd.DataFrame:
    """A hospital's table as study code sees it: the patient replaced by a 63-bit number."""
    table = synthetic.generate(["st-luke"], 3000, seed=7)["st-luke"]
    patient, which = np.unique(table.pop("patient_id"), return_inverse=True)
    pseudonyms = np.random.default_rng(0).integers(0, 2**63 - 1, len(patient))
    return table.assign(patient=pseudonyms[which])


@pytest.fixture(scope="session")
def uci_file() -> Path:
    if not UCI.exists():
        pytest.skip("The real readmission table, ../shared/data/diabetic_data.csv.gz beside the project, is absent.")
    return UCI
