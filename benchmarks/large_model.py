"""A model of 25 million parameters (ResNet-50's size) through the whole path.

Hospitals in processes of their own, a folder as the store, no training but an addition: sandbox, gate, encryption,
parts and FedAvg are all that a round does. Then each stage alone, beside this machine's own speed of copying memory and
of AES-GCM in the same run. Environment: MILLION=25 parameters, DTYPE=float32 (or float16), HOSPITALS=3, ROUNDS=4, and
IN_TURN=1 to let one hospital work at a time, as machines of their own would not have to share this one's memory;
STAGES=0 to leave the stages out. For 20 hospitals:

    make bench ONLY=large_model HOSPITALS=20 ROUNDS=2 IN_TURN=1 STAGES=0

RESULT: `seconds` a round and `mb_s`, the models' bytes both ways over it; `researcher_models` and `agent_models`, how
many models the peak of *anonymous* memory (RssAnon: what no file holds, so that the kernel cannot take it back) is
above the process at rest, looked at many times a second; `researcher_mb` and `agent_mb`, peaks of all resident memory,
mapped files included, and `..._mapped_models`, how many models that is above the process at rest; `machine_mb`, the
peak of all processes together; `copy` and `aes_gcm`, MB/s of the machine; a stage's MB/s.

    python -m benchmarks.large_model
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Self

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from rich.console import Console
from rich.table import Table

import researcher as wr
from benchmarks.federation import federation, submitted
from datasites.wire import keys
from datasites.wire.arrays import pack, unpack
from datasites.wire.identity import Identity
from datasites.wire.pieces import Pieces
from datasites.wire.spool import Spool
from datasites.wire.store import Store
from policies.examples import example_text

MILLION, ROUNDS = int(os.environ.get("MILLION", "25")), int(os.environ.get("ROUNDS", "4"))
DTYPE, IN_TURN = np.dtype(os.environ.get("DTYPE", "float32")), os.environ.get("IN_TURN") == "1"
STAGES = os.environ.get("STAGES") != "0"
HOSPITALS = tuple(f"hospital-{number + 1}" for number in range(int(os.environ.get("HOSPITALS", "3"))))
MODEL_MB = DTYPE.itemsize * MILLION


def main() -> int:
    if ROUNDS < 2:
        print("ROUNDS must be 2 or more: the first starts the workers, and is left out.")
        return 2
    with tempfile.TemporaryDirectory(prefix="wardround-bench-") as scratch:
        folder = Path(scratch)
        rounds = _rounds(folder)
        print(f"rounds: {rounds}", flush=True)  # the stages of a large model take minutes more
        result = rounds | (_stages(folder) if STAGES else {})
    table = Table("what", "measured")
    for name, value in result.items():
        table.add_row(name, f"{value:,}")
    Console(width=100).print(table)
    print(
        "RESULT "
        + json.dumps({"parameters": MILLION * 1_000_000, "hospitals": len(HOSPITALS), "dtype": DTYPE.name, **result})
    )
    return 0


def _rounds(folder: Path) -> dict[str, float]:
    policy = folder / "policy.toml"
    limit = "megabytes_per_round = "
    policy.write_text(example_text("standard").replace(limit + "64", limit + str(2 * MODEL_MB)))
    with federation(folder, f"file://{folder}/store", {}, HOSPITALS) as connected:
        code = Path(__file__).parent / "large"
        study = wr.Study(
            "large", "Measure a round", code, "readmissions", ROUNDS, {"million": MILLION, "dtype": DTYPE.name}
        )
        submission = submitted(connected, folder, study, policy, HOSPITALS)
        me, agents = os.getpid(), _agents(folder)
        ended: list[float] = []
        with (
            Memory([me, *agents]) as memory,
            Watched(me) as watched,
            _turns(connected.store, submission.digest, folder),
        ):
            rounds = wr.Rounds(submission, evaluate=False, deadline=3600)
            rounds.run(on_round=lambda _: ended.append(time.monotonic()))
    seconds = median(after - before for before, after in pairwise(ended))  # without the first, which starts workers
    found: dict[str, float] = {
        "seconds": round(seconds, 2),
        "mb_s": round(2 * MODEL_MB * len(HOSPITALS) / seconds, 1),
    }
    for who, processes in (("researcher", [me]), ("agent", agents)):
        found |= {
            f"{who}_models": round(max(map(memory.anonymous_mb, processes)) / MODEL_MB, 2),
            f"{who}_mapped_models": round(max(map(memory.grown_mb, processes)) / MODEL_MB, 2),
            f"{who}_mb": max(map(memory.most_mb, processes)),
        }
    return found | {"machine_mb": watched.most_mb}


def _stages(folder: Path) -> dict[str, float]:
    """MB/s of each thing that is done to a model on its way, by this process alone."""
    hospital = Identity.create("stage@hospital.example.org", folder / "hospital.json")
    researcher = Identity.create("stage@university.example.org", folder / "researcher.json")
    random, store = np.random.default_rng(0), Store(f"file://{folder}/stages")
    arrays = {f"layer{i}": random.normal(size=MILLION * 40_000).astype(DTYPE) for i in range(25)}
    packed = pack({}, arrays)
    pieces, spool = Pieces((packed,)), Spool(folder)
    sealed = hospital.seal_in_chunks(researcher.public, pieces, spool)
    store.put("model", sealed)
    stages: dict[str, Callable[[], object]] = {
        "copy": lambda: bytearray(packed),
        "aes_gcm": lambda: AESGCM(bytes(32)).encrypt(bytes(12), packed, None),
        "pack": lambda: pack({}, arrays),
        "seal": lambda: hospital.seal_in_chunks(researcher.public, Pieces((packed,)), spool),
        "put": lambda: store.put("model", sealed),
        "get": lambda: store.fetch("model", 2 * len(sealed), spool),
        "open": lambda: researcher.open_large(hospital.public, sealed, spool),
        "unpack": lambda: unpack(memoryview(packed), len(packed)),
    }
    return {name: round(MODEL_MB / min(_timed(stage) for _ in range(3))) for name, stage in stages.items()}


def _timed(stage: Callable[[], object]) -> float:
    started = time.perf_counter()
    stage()
    return time.perf_counter() - started


@contextmanager
def _turns(store: Store, study: str, folder: Path) -> Iterator[None]:
    """With IN_TURN, agents stand still but for one, until it has answered the round."""
    if not IN_TURN:
        yield
        return
    agents = [_agents(folder / name)[0] for name in HOSPITALS]
    over = threading.Event()

    def lead() -> None:
        for number in range(1, ROUNDS + 1):
            for name, agent in zip(HOSPITALS, agents, strict=True):
                os.kill(agent, signal.SIGCONT)
                answer = keys.round_up(study, number, f"office@{name}.example.org")
                while not (over.is_set() or store.exists(answer)):
                    time.sleep(0.1)
                os.kill(agent, signal.SIGSTOP)

    for agent in agents:
        os.kill(agent, signal.SIGSTOP)
    leader = threading.Thread(target=lead)
    leader.start()
    try:
        yield
    finally:
        over.set()
        leader.join()
        for agent in agents:
            os.kill(agent, signal.SIGCONT)


class _Looking:
    """Looks, in a thread, until its block ends."""

    def __init__(self) -> None:
        self._over, self._thread = threading.Event(), threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        raise NotImplementedError


class Memory(_Looking):
    """The peaks of processes, each by itself."""

    def __init__(self, processes: list[int]) -> None:
        self._rest = {process: _status_mb(process) for process in processes}
        self._most = {process: list(found) for process, found in self._rest.items()}
        super().__init__()

    def anonymous_mb(self, process: int) -> int:
        """Above the process at rest."""
        return self._most[process][0] - self._rest[process][0]

    def grown_mb(self, process: int) -> int:
        """Resident memory, mapped files included, above the process at rest."""
        return self._most[process][1] - self._rest[process][1]

    def most_mb(self, process: int) -> int:
        """Resident memory."""
        return self._most[process][1]

    def _look(self) -> None:
        while not self._over.wait(0.01 * len(self._most)):
            for process, most in self._most.items():
                most[:] = map(max, most, _status_mb(process))


def _status_mb(process: int) -> tuple[int, int]:
    """(anonymous, all resident) memory."""
    with suppress(OSError, IndexError):
        status = Path(f"/proc/{process}/status").read_text()
        anonymous, resident = (int(status.split(name)[1].split()[0]) // 1024 for name in ("RssAnon:", "VmRSS:"))
        return anonymous, resident
    return 0, 0  # it has ended


class Watched(_Looking):
    """The most memory that a process and its descendants have had together; what they share counts once."""

    def __init__(self, process: int) -> None:
        super().__init__()
        self._process, self.most_mb = process, 0

    def _look(self) -> None:
        took = 0.0
        while not self._over.wait(max(0.5, 9 * took)):  # a look at many processes takes its time
            began = time.monotonic()
            self.most_mb = max(self.most_mb, sum(map(_proportional_mb, _descendants(self._process))))
            took = time.monotonic() - began


def _descendants(process: int) -> list[int]:
    """With the process itself."""
    found = [process]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            with suppress(OSError):
                found += map(int, task.read_text().split())
    return found


def _proportional_mb(process: int) -> int:
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{process}/smaps_rollup").read_text().split("Pss:")[1].split()[0]) // 1024
    return 0


def _agents(folder: Path) -> list[int]:
    """The hospitals' processes."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        if b"serve" in words and any(Path(word.decode()).is_relative_to(folder) for word in words):
            found.append(int(process.parent.name))
    return found


if __name__ == "__main__":
    sys.exit(main())
