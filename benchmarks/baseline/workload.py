"""The one workload of every system compared: the same hospitals, rows, study code and configuration.

Only what carries the model between the hospitals and the researcher differs, so a difference in time is the system's.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from notebooks.readmission import synthetic

Arrays = dict[str, np.ndarray]

ROOT = Path(__file__).resolve().parents[2]
STUDY = ROOT / "notebooks" / "readmission" / "study"
HOSPITALS = ("north", "south", "west")
ROWS = 20_000
SEED = 20

# Little work shows what a round costs in itself; real work shows what is left of that in practice.
CONFIGS: dict[str, dict[str, Any]] = {
    "one-batch": {"seed": 0, "split_seed": 0, "local_epochs": 1, "max_batches": 1},
    "one-epoch": {"seed": 0, "split_seed": 0, "local_epochs": 1},
}
EVALUATED = frozenset({"one-epoch"})  # modes in which a round ends with testing the averaged model at each hospital


@dataclass(frozen=True)
class Outcome:
    """Seconds of each round but the first, the averaged model's norm and, in an evaluated mode, its pooled AUC.

    Norm and AUC say whether two systems did the same work: they must agree to about four digits.
    """

    seconds: list[float]
    norm: float
    auc: float | None


class BaselineFailed(Exception):
    """A compared system could not do the workload; the text says where it stopped."""


def study() -> ModuleType:
    """The module that a researcher submits, imported from its folder as a hospital's worker does."""
    if str(STUDY) not in sys.path:
        sys.path.insert(0, str(STUDY))
    return importlib.import_module("study")


def source(hospital: str) -> pd.DataFrame:
    """20,000 encounters as a hospital stores them: the dictionary's columns and `patient_id`.

    Made once and then read from a file, since no compared system has to invent its data while it is timed.
    """
    version = hashlib.sha256(Path(synthetic.__file__).read_bytes()).hexdigest()[:12]
    file = Path(tempfile.gettempdir()) / f"wardround-benchmark-{hospital}-{ROWS}-{SEED}-{version}.parquet"
    if not file.exists():
        draft = file.with_suffix(f".{os.getpid()}")
        synthetic.generate([hospital], ROWS, SEED)[hospital].to_parquet(draft, index=False)
        draft.rename(file)
    return pd.read_parquet(file)


def table(hospital: str) -> pd.DataFrame:
    """The same rows as study code gets them: float32 columns and an int64 pseudonym `patient`."""
    rows = source(hospital)
    pseudonyms = pd.util.hash_array(rows["patient_id"].to_numpy(dtype=object)) >> np.uint64(1)
    return rows.drop(columns="patient_id").astype(np.float32).assign(patient=pseudonyms.astype(np.int64))


def check(rounds: int, mode: str) -> None:
    """Raises BaselineFailed for an unknown mode, or too few rounds to time one after the warm-up."""
    if mode not in CONFIGS:
        raise BaselineFailed(f"There is no mode {mode!r}: choose one of {', '.join(CONFIGS)}.")
    if rounds < 2:
        raise BaselineFailed("Two rounds are the least: the first one only warms up.")


def norm(parameters: Arrays) -> float:
    """The Euclidean norm of all floating-point parameters together."""
    floats = [array.astype(np.float64) for array in parameters.values() if array.dtype.kind == "f"]
    return float(sum((array**2).sum() for array in floats) ** 0.5)
