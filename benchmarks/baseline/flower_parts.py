"""What both ways of running Flower share: its environment, its options, the hospitals' rows and the result file."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.baseline import workload
from benchmarks.baseline.processes import Daemons
from benchmarks.baseline.workload import CONFIGS, EVALUATED, HOSPITALS, BaselineFailed, Outcome
from researcher.metrics import auc_from_histogram

LIMIT = 180.0  # seconds for a measurement, start-up included, after which it has failed


def environment(folder: Path, binaries: Path, polling: float | None = None) -> dict[str, str]:
    """Flower keeps its files in `folder` and asks nobody on the network. polling: see `flower.measure`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLWR_", "PYTHON", "VIRTUAL_"))}
    own = {
        "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', '')}",
        "FLWR_HOME": str(folder / "home"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
    }
    return kept | own | ({} if polling is None else {"FLWR_SUPEREXEC_TASK_POLL_INTERVAL": str(polling)})


def save_rows(folder: Path, hospital: str) -> Path:
    """The hospital's rows in a file with an array a column."""
    path, table = folder / f"{hospital}.npz", workload.table(hospital)
    np.savez(path, allow_pickle=False, **{str(name): table[name].to_numpy() for name in table})
    return path


def options(folder: Path, rounds: int, mode: str) -> dict[str, Any]:
    return {
        "rounds": rounds,
        "hospitals": len(HOSPITALS),
        "study": json.dumps(CONFIGS[mode]),
        "evaluate": mode in EVALUATED,
        "result": str(folder / "result.json"),
    }


def wait_for_result(running: Daemons, result: Path, deadline: float) -> dict[str, Any]:
    """The server app's result file: Flower's own exit status says nothing about the server app."""
    while not result.exists():
        running.check()
        if time.monotonic() > deadline:
            raise BaselineFailed(f"The server app wrote no result in time.\n{running.logs()}")
        time.sleep(0.2)
    facts: dict[str, Any] = json.loads(result.read_text())
    if "error" in facts:
        raise BaselineFailed(f"The server app failed: {facts['error']}\n{running.logs()}")
    return facts


def outcome(facts: dict[str, Any]) -> Outcome:
    histogram = facts["score_histogram"]
    auc = auc_from_histogram(np.reshape(histogram, (2, -1))) if histogram else None
    return Outcome(facts["seconds"][1:], facts["norm"], auc)
