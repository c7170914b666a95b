"""Flower 1.41 deployed on loopback: a superlink, three supernodes and a server app that averages.

As it comes, Flower starts a process for every message and polls for work: the superexec every second, the supernode
and the server app every three. The first interval can be set (`FLWR_SUPEREXEC_TASK_POLL_INTERVAL`), which `polling`
does. Version 1.41 has no supported way to keep client processes: `--isolation process` still starts one per message,
and its prestarted executors serve other task types, on Kubernetes, and once each. `flower_legacy` measures the
deprecated way, which kept them.

    python -m benchmarks.baseline.flower --rounds 3
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.baseline import workload
from benchmarks.baseline.flower_parts import LIMIT, environment, options, outcome, save_rows, wait_for_result
from benchmarks.baseline.flower_venv import ensure_venv
from benchmarks.baseline.processes import Daemons, daemons, free_port, wait_for_port
from benchmarks.baseline.report import show
from benchmarks.baseline.workload import CONFIGS, HOSPITALS, BaselineFailed, Outcome

APP = Path(__file__).parent / "flower_app"


def measure(rounds: int, mode: str, polling: float | None = None, limit: float = LIMIT) -> list[float]:
    """Seconds of each of `rounds` rounds but the first. mode: "one-batch" or "one-epoch" (which also evaluates).

    polling: seconds between a superexec's looks for work, at least 0.01; None for Flower's own 1.
    limit: seconds for all of it, start-up included, after which it is a failure. Building the environment on first
    use is not counted.
    """
    return run(rounds, mode, polling, limit).seconds


def run(rounds: int, mode: str, polling: float | None = None, limit: float = LIMIT) -> Outcome:
    """Like `measure`, with the averaged model's norm and AUC. Raises BaselineFailed, saying where it stopped."""
    workload.check(rounds, mode)
    binaries = ensure_venv() / "bin"
    deadline = time.monotonic() + limit
    with TemporaryDirectory(prefix="flower-") as name:
        folder = Path(name)
        app = _app(folder)
        with daemons(folder, environment(folder, binaries, polling)) as running:
            _start_superlink(running, binaries, port := free_port(), deadline)
            for hospital in HOSPITALS:
                _start_supernode(running, binaries, port, hospital)
            _submit(running, binaries, port, app, options(folder, rounds, mode), deadline)
            return outcome(wait_for_result(running, folder / "result.json", deadline))


def _app(folder: Path) -> Path:
    """The app with the study's files beside it, as Flower's users lay it out."""
    app = folder / "app"
    shutil.copytree(APP, app, ignore=shutil.ignore_patterns("__pycache__"))
    for file in workload.STUDY.glob("*.py"):
        shutil.copy(file, app)
    return app


def _start_superlink(running: Daemons, binaries: Path, port: int, deadline: float) -> None:
    flags = ["--insecure", "--disable-runtime-dependency-installation", "--port", str(port)]
    running.start("superlink", [str(binaries / "flower-superlink"), *flags])
    wait_for_port(port, running, deadline)


def _start_supernode(running: Daemons, binaries: Path, superlink: int, hospital: str) -> None:
    rows = save_rows(running.folder, hospital)
    flags = ["--insecure", "--superlink", f"127.0.0.1:{superlink}", "--port", str(free_port())]
    running.start(hospital, [str(binaries / "flower-supernode"), *flags, "--node-config", f'table="{rows}"'])


def _submit(
    running: Daemons, binaries: Path, superlink: int, app: Path, chosen: dict[str, Any], deadline: float
) -> None:
    """`flwr run`, as a researcher does it."""
    home = running.folder / "home"
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(f'[superlink.bench]\naddress = "127.0.0.1:{superlink}"\ninsecure = true\n')
    overrides = running.folder / "overrides.toml"
    overrides.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in chosen.items()))
    command = [str(binaries / "flwr"), "run", str(app), "bench", "--run-config", str(overrides)]
    try:
        left = max(1.0, deadline - time.monotonic())
        done = subprocess.run(command, env=running.environment, capture_output=True, text=True, timeout=left)
    except subprocess.TimeoutExpired:
        raise BaselineFailed(f"`flwr run` did not return in time.\n{running.logs()}") from None
    if done.returncode:
        raise BaselineFailed(f"`flwr run` failed:\n{done.stdout[-1000:]}\n{done.stderr[-1000:]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="the first one warms up and is not timed")
    parser.add_argument("--mode", choices=[*CONFIGS], default="one-batch")
    parser.add_argument("--polling", type=float, help="seconds between a superexec's looks for work; Flower's own is 1")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds after which it has failed")
    given = parser.parse_args()
    name = f"Flower 1.41, {given.mode}" + (f", polling {given.polling} s" if given.polling else "")
    try:
        show({name: run(given.rounds, given.mode, given.polling, given.limit)})
    except BaselineFailed as failure:
        parser.exit(1, f"{failure}\n")


if __name__ == "__main__":
    main()
