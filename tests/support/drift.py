"""SCAFFOLD on hospitals that differ, by the study's real functions, and by the paper alone."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from datasites.wire.arrays import Arrays
from researcher.strategies import Scaffold, Strategy, Update

STUDY = Path(__file__).parent / "least_squares"
CONFIG: dict[str, Any] = {"steps": 20, "rate": 0.2}


def run(
    study: SimpleNamespace, tables: Sequence[pd.DataFrame], answering: Sequence[Sequence[int]], strategy: Strategy
) -> list[Arrays]:
    """The state after each round; `answering` says which hospitals answer in it."""
    state: Arrays = study.initialize(CONFIG)
    kept: dict[int, Arrays] = {}
    states = []
    for number, sites in enumerate(answering, 1):
        aggregation = strategy.begin(state, {})
        for site in sites:
            with contextlib.redirect_stdout(None):
                came, examples, _, left = study.fit(
                    state, tables[site], {**CONFIG, "round": number}, kept.get(site, {})
                )
            if isinstance(strategy, Scaffold):
                kept[site] = left
            else:  # without its correction it is FedAvg
                came["control/weight"] = np.zeros_like(came["control/weight"])
            aggregation.add(Update(str(site), came, examples))
        state = aggregation.result()[0]
        states.append(state)
    return states


def by_the_paper(
    data: Sequence[tuple[np.ndarray, np.ndarray]], answering: Sequence[Sequence[int]], server_rate: float
) -> list[np.ndarray]:
    """Algorithm 1 of Karimireddy et al. (2020), option II, line by line: x after each round."""
    hospitals, steps, rate = len(data), CONFIG["steps"], CONFIG["rate"]
    x, c = np.zeros(2), np.zeros(2)
    own = [np.zeros(2) for _ in data]
    found = []
    for sites in answering:
        moves, changes = [], []
        for i in sites:
            inputs, targets = data[i]
            y = x.copy()
            for _ in range(steps):
                gradient = inputs.T @ (inputs @ y - targets) / len(targets)
                y = y - rate * (gradient - own[i] + c)
            new = own[i] - c + (x - y) / (steps * rate)
            moves.append(y - x)
            changes.append(new - own[i])
            own[i] = new
        x = x + server_rate * np.mean(moves, axis=0)
        c = c + len(sites) / hospitals * np.mean(changes, axis=0)
        found.append(x)
    return found
