"""One worker per sandbox on the hostile study, and a hospital with all that a study must not reach."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from datasites.runner.limits import Limits
from datasites.runner.process import Worker
from datasites.runner.sandbox import bubblewrap, landlock
from datasites.runner.sandbox.base import Sandbox
from datasites.runner.sandbox.bubblewrap import Bubblewrap
from datasites.runner.sandbox.landlock import Landlock
from datasites.runner.sandbox.rlimits import ProcessLimits
from tests.support.workers import ReadWorker

SANDBOXES: tuple[Sandbox, ...] = (ProcessLimits(), Bubblewrap(), Landlock())
SECRET = "patient 4711"


@dataclass
class Hospital:
    """`config` tells the study where everything is; `listeners` are sockets on which nothing may ever arrive."""

    folder: Path
    config: dict[str, Any]
    listeners: list[socket.socket] = field(default_factory=list)

    @property
    def secret(self) -> Path:
        return self.folder / "identity.json"

    def restore(self) -> None:
        self.secret.write_text(SECRET)
        self.secret.chmod(0o600)
        _table().to_parquet(self.folder / "mine" / "table.parquet")

    def start(self, sandbox: Sandbox, code: Path | None = None, **limits: float) -> ReadWorker:
        mine = self.folder / "mine"
        chosen = Limits(**({"seconds_per_round": 120, "file_bytes": 2**22, "scratch_bytes": 2**23} | limits))
        table, scratch = mine / "table.parquet", mine / "scratch"
        log = mine / f"{sandbox.name}.log"
        return ReadWorker(Worker.start(code or mine / "code", table, scratch, log, chosen, sandbox))

    def heard(self) -> list[bytes]:
        """What has arrived on any listener since the last time."""
        heard = []
        for listener in self.listeners:
            with contextlib.suppress(BlockingIOError):
                if listener.type == socket.SOCK_DGRAM:
                    heard.append(listener.recv(100))
                else:
                    with listener.accept()[0] as line:
                        heard.append(line.recv(100))
        return heard


@pytest.fixture(scope="session")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("hospital")
    code = folder / "mine" / "code"
    code.mkdir(parents=True)
    (folder / "other-4711").mkdir()
    shutil.copy(Path(__file__).with_name("hostile.py"), code / "study.py")
    for name in ("state.db", "peers.json", "other-4711/table.parquet"):
        (folder / name).write_text(SECRET)
    victim = [sys.executable, "-c", "input()"]  # until it is killed, however long the session lasts
    with subprocess.Popen(victim, env={"HOSPITAL_PASSWORD": "4711"}, stdin=subprocess.PIPE) as agent:
        made = Hospital(folder, {})
        made.listeners = _listeners(folder, name := uuid.uuid4().hex)
        made.config = {
            "secret": str(made.secret),
            "outside": str(folder / "mine"),
            "hospital": "peers.json",
            "table": str(folder / "mine" / "table.parquet"),
            "victim": agent.pid,
            "python": [part for prefix in (sys.prefix, sys.base_prefix) for part in Path(prefix).parts],
            "tcp": made.listeners[0].getsockname()[1],
            "udp": made.listeners[1].getsockname()[1],
            "unix": made.listeners[2].getsockname(),
            "datagram": made.listeners[3].getsockname(),
            "abstract": name,
        }
        yield made
        agent.kill()
        for listener in made.listeners:
            listener.close()


@pytest.fixture(params=SANDBOXES, ids=lambda sandbox: sandbox.name)
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """Each in turn, where this machine has it. With process limits alone attacks must work, or they test nothing."""
    problem = {"bubblewrap": bubblewrap.problem, "Landlock": landlock.problem}.get(request.param.name, str)()
    if problem:
        pytest.skip(problem)
    return request.param


@pytest.fixture(scope="session")
def _workers(hospital: Hospital) -> Iterator[dict[str, ReadWorker]]:
    workers: dict[str, ReadWorker] = {}
    yield workers
    for worker in workers.values():
        worker.stop()


@pytest.fixture
def attack(hospital: Hospital, sandbox: Sandbox, _workers: dict[str, ReadWorker]) -> Callable[..., bool]:
    """Runs one attack in the sandbox, and says whether the study believes that it worked."""
    hospital.restore()

    def run(name: str, **more: object) -> bool:
        worker = _workers.get(sandbox.name)
        if worker is None or not worker.alive:
            worker = _workers[sandbox.name] = hospital.start(sandbox)
        outcome = worker.call("fit", {}, {**hospital.config, "attack": name, **more})
        return bool(outcome.metrics["worked"])

    return run


def _listeners(folder: Path, name: str) -> list[socket.socket]:
    kinds = [
        (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
        (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
        (socket.AF_UNIX, socket.SOCK_STREAM, str(folder / "s")),
        (socket.AF_UNIX, socket.SOCK_DGRAM, str(folder / "d")),
        (socket.AF_UNIX, socket.SOCK_STREAM, "\0" + name),
    ]
    listeners = []
    for family, kind, address in kinds:
        listener = socket.socket(family, kind)
        listener.bind(address)
        if kind == socket.SOCK_STREAM:
            listener.listen()
        listener.setblocking(False)
        listeners.append(listener)
    return listeners


def _table() -> pd.DataFrame:
    return pd.DataFrame({"patient": [11, 12], "age_years": [50.0, 60.0]})
