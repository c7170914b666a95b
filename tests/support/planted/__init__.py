"""Hospitals with a planted risk: at each, how much its first column raises it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import researcher as wr
from datasites.wire.dictionary import Dictionary

CODE = Path(__file__).parent
PLANTED = Dictionary.load(CODE / "planted.toml")


def table(effect: float, seed: int, rows: int = 400) -> pd.DataFrame:
    """One row a patient; the log-odds of `y` are effect * x + z / 2."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, rows)).clip(-5, 5)
    y = rng.random(rows) < 1 / (1 + np.exp(-effect * x - z / 2))
    return pd.DataFrame({"patient_id": np.arange(rows), "x": x, "z": z, "y": y.astype(int)})


def simulation(effects: Mapping[str, float], rounds: int, **settings: Any) -> wr.Simulation:
    """A study of logistic regression at hospitals with these effects of x."""
    tables = {name: table(effect, seed) for seed, (name, effect) in enumerate(effects.items())}
    study = wr.Study("planted", "Test", CODE / "code", "planted", rounds)
    return wr.Simulation(study, tables, PLANTED, processes=1, **settings)
