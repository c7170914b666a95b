"""What only a demo can compute: the same code trained on each hospital alone, and on all tables pooled.

It reads every hospital's private table, which nobody may do in a real federation. All models are tested on the same
patients: the test patients of all hospitals together.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from datasites.catalog.registry import Registry
from datasites.catalog.view import study_view
from datasites.home import DatasiteHome
from datasites.wire.manifest import Manifest
from researcher.metrics import federated_auc

_views: list[pd.DataFrame] = []
_study: Any = None


def train_references(
    homes: list[Path], manifest: Manifest, code: Path, rounds: int, on_done: Callable[[int], None]
) -> tuple[list[float], float]:
    """(AUC of each hospital's own model, AUC of the pooled model) after as many passes as the federation made."""
    jobs = [[i] for i in range(len(homes))] + [list(range(len(homes)))]
    with ProcessPoolExecutor(
        max_workers=os.cpu_count(),
        mp_context=get_context("spawn"),
        initializer=_load,
        initargs=(homes, manifest.model_dump_json(), code),
    ) as pool:
        config = dict(manifest.config)
        # the pooled model takes longest, so it starts first
        futures = {i: pool.submit(_train, jobs[i], config, rounds) for i in sorted(range(len(jobs)), reverse=True)}
        for done, future in enumerate(futures.values(), start=1):
            future.result()
            on_done(done)
    aucs = [futures[i].result() for i in range(len(jobs))]
    return aucs[:-1], aucs[-1]


def _load(homes: list[Path], manifest_json: str, code: Path) -> None:
    """Once a process: the very views of the tables that the hospitals' workers see, and the study's code."""
    global _study
    manifest = Manifest.model_validate_json(manifest_json)
    for path in homes:
        home = DatasiteHome(path)
        table = Registry(home.datasets).get(manifest.dataset)
        _views.append(study_view(table.read(), table.dictionary, manifest.columns, home.pseudonym_secret()))
    sys.path.insert(0, str(code))
    _study = importlib.import_module("study")


def _train(members: list[int], config: dict[str, Any], rounds: int) -> float:
    table = pd.concat([_views[i] for i in members], ignore_index=True)
    parameters = _study.initialize({**config, "round": 0})
    for number in range(1, rounds + 1):
        parameters, _, _ = _study.fit(parameters, table, {**config, "round": number})
    histograms = [
        _study.evaluate(parameters, view, {**config, "round": rounds})[1]["score_histogram"] for view in _views
    ]
    return federated_auc(np.asarray(h) for h in histograms)
