"""A simulation's hospitals without their processes: the study runs here and now, and all else is the simulation's."""

from __future__ import annotations

import importlib.util
import inspect
import random
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import pandas as pd

import researcher as wr
from datasites.runner.replies import TASKS, Task, encode_result
from datasites.wire.arrays import Arrays
from datasites.wire.canonical import digest_of


class InlineCrew:
    """In the place of `researcher.simulation.crew.Crew`; for tests that are about rounds and no sandbox."""

    def __init__(
        self, study: wr.Study, views: Mapping[str, pd.DataFrame], seed: int, processes: int | None, folder: Path
    ) -> None:
        self.seed, self._views, self._config = seed, views, dict(study.config)
        self.pool = SimpleNamespace(map=map)
        self.log, self.functions = folder / "log", frozenset(TASKS)
        spec = importlib.util.spec_from_file_location("inline_study", Path(study.code) / "study.py")
        assert spec
        assert spec.loader
        self._module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self._module)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def call(self, task: Task, hospital: str, parameters: Arrays, number: int, kept: Arrays | None = None) -> bytes:
        seed = int(digest_of([self.seed, task, hospital, number])[:8], 16)
        random.seed(seed)
        np.random.seed(seed)
        given = {name: array.copy() for name, array in parameters.items()}
        arguments: list[Any] = [] if task == "initialize" else [given, self._views[hospital].copy()]
        function = getattr(self._module, task)
        left = {"kept": kept or {}} if "kept" in inspect.signature(function).parameters else {}
        return encode_result(task, function(*arguments, {**self._config, "round": number}, **left))

    def initialize(self) -> bytes:
        return self.call("initialize", "", {}, 0)
