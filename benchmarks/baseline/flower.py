"""Flower 1.41 deployed on loopback: a superlink, three supernodes and a server app that averages.

As it comes, Flower starts a process for every message and polls for work: the superexec every second, the supernode
and the server app every three. The first interval can be set (`FLWR_SUPEREXEC_TASK_POLL_INTERVAL`), which `polling`
does. Version 1.41 has no supported way to keep client processes: `--isolation process` still starts one per message,
and its prestarted executors serve other task types, on Kubernetes, and once each.

    python -m benchmarks.baseline.flower --rounds 3
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.baseline import workload
from benchmarks.baseline.flower_venv import ensure_venv
from benchmarks.baseline.processes import Daemons, daemons, free_port, wait_for_port
from benchmarks.baseline.report import show
from benchmarks.baseline.workload import CONFIGS, EVALUATED, HOSPITALS, BaselineFailed, Outcome
from researcher.metrics import auc_from_histogram

APP = Path(__file__).parent / "flower_app"


def measure(rounds: int, mode: str, polling: float | None = None, limit: float = 180.0) -> list[float]:
    """Seconds of each of `rounds` rounds but the first. mode: "one-batch" or "one-epoch" (which also evaluates).

    polling: seconds between a superexec's looks for work, at least 0.01; None for Flower's own 1.
    limit: seconds for all of it, start-up included, after which it is a failure. Building the environment on first
    use is not counted.
    """
    return run(rounds, mode, polling, limit).seconds


def run(rounds: int, mode: str, polling: float | None = None, limit: float = 180.0) -> Outcome:
    """Like `measure`, with the averaged model's norm and AUC. Raises BaselineFailed, saying where it stopped."""
    workload.check(rounds, mode)
    binaries = ensure_venv() / "bin"
    deadline = time.monotonic() + limit
    with TemporaryDirectory(prefix="flower-") as name:
        folder = Path(name)
        app = _app(folder)
        with daemons(folder, _environment(folder, binaries, polling)) as running:
            _start_superlink(running, binaries, port := free_port(), deadline)
            for hospital in HOSPITALS:
                _start_supernode(running, binaries, port, hospital)
            _submit(running, binaries, port, app, _options(folder, rounds, mode), deadline)
            return _outcome(_wait(running, folder / "result.json", deadline))


def _app(folder: Path) -> Path:
    """The app with the study's files beside it, as Flower's users lay it out."""
    app = folder / "app"
    shutil.copytree(APP, app, ignore=shutil.ignore_patterns("__pycache__"))
    for file in workload.STUDY.glob("*.py"):
        shutil.copy(file, app)
    return app


def _environment(folder: Path, binaries: Path, polling: float | None) -> dict[str, str]:
    """Flower keeps its files in `folder` and asks nobody on the network."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLWR_", "PYTHON", "VIRTUAL_"))}
    own = {
        "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', '')}",
        "FLWR_HOME": str(folder / "home"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
    }
    return kept | own | ({} if polling is None else {"FLWR_SUPEREXEC_TASK_POLL_INTERVAL": str(polling)})


def _start_superlink(running: Daemons, binaries: Path, port: int, deadline: float) -> None:
    options = ["--insecure", "--disable-runtime-dependency-installation", "--port", str(port)]
    running.start("superlink", [str(binaries / "flower-superlink"), *options])
    wait_for_port(port, running, deadline)


def _start_supernode(running: Daemons, binaries: Path, superlink: int, hospital: str) -> None:
    rows = running.folder / f"{hospital}.npz"
    table = workload.table(hospital)
    np.savez(rows, **{name: table[name].to_numpy() for name in table})
    options = ["--insecure", "--superlink", f"127.0.0.1:{superlink}", "--port", str(free_port())]
    running.start(hospital, [str(binaries / "flower-supernode"), *options, "--node-config", f'table="{rows}"'])


def _options(folder: Path, rounds: int, mode: str) -> dict[str, Any]:
    return {
        "rounds": rounds,
        "hospitals": len(HOSPITALS),
        "study": json.dumps(CONFIGS[mode]),
        "evaluate": mode in EVALUATED,
        "result": str(folder / "result.json"),
    }


def _submit(
    running: Daemons, binaries: Path, superlink: int, app: Path, options: dict[str, Any], deadline: float
) -> None:
    """`flwr run`, as a researcher does it."""
    home = running.folder / "home"
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(f'[superlink.bench]\naddress = "127.0.0.1:{superlink}"\ninsecure = true\n')
    overrides = running.folder / "overrides.toml"
    overrides.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in options.items()))
    command = [str(binaries / "flwr"), "run", str(app), "bench", "--run-config", str(overrides)]
    try:
        left = max(1.0, deadline - time.monotonic())
        done = subprocess.run(command, env=running.environment, capture_output=True, text=True, timeout=left)
    except subprocess.TimeoutExpired:
        raise BaselineFailed(f"`flwr run` did not return in time.\n{running.logs()}") from None
    if done.returncode:
        raise BaselineFailed(f"`flwr run` failed:\n{done.stdout[-1000:]}\n{done.stderr[-1000:]}")


def _wait(running: Daemons, result: Path, deadline: float) -> dict[str, Any]:
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


def _outcome(facts: dict[str, Any]) -> Outcome:
    histogram = facts["score_histogram"]
    auc = auc_from_histogram(np.reshape(histogram, (2, -1))) if histogram else None
    return Outcome(facts["seconds"][1:], facts["norm"], auc)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="the first one warms up and is not timed")
    parser.add_argument("--mode", choices=[*CONFIGS], default="one-batch")
    parser.add_argument("--polling", type=float, help="seconds between a superexec's looks for work; Flower's own is 1")
    parser.add_argument("--limit", type=float, default=180.0, help="seconds after which it has failed")
    options = parser.parse_args()
    name = f"Flower 1.41, {options.mode}" + (f", polling {options.polling} s" if options.polling else "")
    try:
        show({name: run(options.rounds, options.mode, options.polling, options.limit)})
    except BaselineFailed as failure:
        parser.exit(1, f"{failure}\n")


if __name__ == "__main__":
    main()
