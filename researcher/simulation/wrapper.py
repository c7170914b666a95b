"""The `study.py` of a simulation's workers: the researcher's own, on one hospital's rows and with fixed seeds.

It is never imported here, but copied beside the study's files, which are in a folder `inner`. It is imported anew in
the process of each call, as at a hospital; what one simulated hospital leaves in memory, no other finds.
"""

from __future__ import annotations

import random
import sys
from functools import wraps
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np

_SIMULATED = "simulated"  # the key of `config` that says which rows and which seed; the study does not see it

_folder = Path(__file__).parent / "inner"
sys.path.insert(0, str(_folder))
_spec = spec_from_file_location("study", _folder / "study.py")
if _spec is None or _spec.loader is None:
    raise ImportError("there is no study.py")
_study = module_from_spec(_spec)
sys.modules["study"] = _study
_spec.loader.exec_module(_study)


def _seeded(config: dict[str, Any]) -> dict[str, Any]:
    """The study's own configuration; sets the seeds of Python, NumPy and PyTorch."""
    seed = config[_SIMULATED]["seed"]
    random.seed(seed)
    np.random.seed(seed)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(seed)
    return {name: value for name, value in config.items() if name != _SIMULATED}


def _at_a_hospital(function: Any) -> Any:
    @wraps(function)  # a worker looks whether it has an argument `kept`
    def call(parameters: Any, table: Any, config: dict[str, Any], **kept: Any) -> Any:
        first, end = config[_SIMULATED]["rows"]
        return function(parameters, table.iloc[first:end].reset_index(drop=True), _seeded(config), **kept)

    return call


if hasattr(_study, "initialize"):

    def initialize(config: dict[str, Any]) -> Any:
        return _study.initialize(_seeded(config))


if hasattr(_study, "fit"):
    fit = _at_a_hospital(_study.fit)
if hasattr(_study, "evaluate"):
    evaluate = _at_a_hospital(_study.evaluate)
