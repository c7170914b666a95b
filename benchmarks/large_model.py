"""A model of 25 million parameters (ResNet-50's size) through the whole path.

Hospitals in processes of their own, a folder as the store, no training but an addition: sandbox, gate, encryption,
parts and FedAvg are all that a round does. Then each stage alone, beside this machine's own speed of copying memory and
of AES-GCM in the same run. Environment: MILLION=25 parameters, DTYPE=float32 (or float16), HOSPITALS=3, ROUNDS=4, and
IN_TURN=1 to let one hospital work at a time, as machines of their own would not have to share this one's memory.

RESULT: `seconds` a round and `mb_s`, the models' bytes both ways over it; `researcher_mb` and `agent_mb`, peaks of
resident memory, and `researcher_models` and `agent_models`, how many models that is beyond the process at rest;
`machine_mb`, the peak of all processes together; `copy` and `aes_gcm`, MB/s of the machine; a stage's MB/s.

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

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from rich.console import Console
from rich.table import Table

import researcher as wr
from benchmarks.federation import federation, submitted
from datasites.wire import keys
from datasites.wire.arrays import pack, unpack
from datasites.wire.identity import Identity
from datasites.wire.store import Store
from policies.examples import example_text

MILLION, ROUNDS = int(os.environ.get("MILLION", "25")), int(os.environ.get("ROUNDS", "4"))
DTYPE, IN_TURN = np.dtype(os.environ.get("DTYPE", "float32")), os.environ.get("IN_TURN") == "1"
HOSPITALS = tuple(f"hospital-{number + 1}" for number in range(int(os.environ.get("HOSPITALS", "3"))))
MODEL_MB = DTYPE.itemsize * MILLION


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="wardround-bench-") as scratch:
        folder = Path(scratch)
        rounds = _rounds(folder)
        print(f"rounds: {rounds}", flush=True)  # the stages of a large model take minutes more
        result = rounds | _stages(folder)
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
        agents = {pid: _peak_mb(pid) for pid in _agents(folder)}
        at_rest = _peak_mb(os.getpid())
        ended: list[float] = []
        with Watched(os.getpid()) as watched, _turns(connected.store, submission.digest, folder):
            rounds = wr.Rounds(submission, evaluate=False, deadline=3600)
            rounds.run(on_round=lambda _: ended.append(time.monotonic()))
        seconds = median(after - before for before, after in pairwise(ended))  # without the first, which starts workers
        peak = _peak_mb(os.getpid())
        agent = max(_peak_mb(pid) for pid in agents)
        grown = max(_peak_mb(pid) - rest for pid, rest in agents.items())
    moved = 2 * MODEL_MB * len(HOSPITALS)
    return {
        "seconds": round(seconds, 2),
        "mb_s": round(moved / seconds, 1),
        "researcher_mb": peak,
        "researcher_models": round((peak - at_rest) / MODEL_MB, 1),
        "agent_mb": agent,
        "agent_models": round(grown / MODEL_MB, 1),
        "machine_mb": watched.most_mb,
    }


def _stages(folder: Path) -> dict[str, float]:
    """MB/s of each thing that is done to a model on its way, by this process alone."""
    hospital = Identity.create("stage@hospital.example.org", folder / "hospital.json")
    researcher = Identity.create("stage@university.example.org", folder / "researcher.json")
    random, store = np.random.default_rng(0), Store(f"file://{folder}/stages")
    arrays = {f"layer{i}": random.normal(size=MILLION * 40_000).astype(DTYPE) for i in range(25)}
    packed = pack({}, arrays)
    sealed = hospital.seal(researcher.public, packed)
    store.put("model", sealed)
    stages: dict[str, Callable[[], object]] = {
        "copy": lambda: bytearray(packed),
        "aes_gcm": lambda: AESGCM(bytes(32)).encrypt(bytes(12), packed, None),
        "pack": lambda: pack({}, arrays),
        "seal": lambda: hospital.seal(researcher.public, packed),
        "put": lambda: store.put("model", sealed),
        "get": lambda: store.get("model", 2 * len(sealed)),
        "open": lambda: researcher.open(hospital.public, sealed),
        "unpack": lambda: unpack(packed, len(packed)),
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


class Watched:
    """The most memory that a process and its descendants have had together; what they share counts once."""

    def __init__(self, process: int) -> None:
        self._process, self._over, self.most_mb = process, threading.Event(), 0
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.5):
            self.most_mb = max(self.most_mb, sum(map(_proportional_mb, _descendants(self._process))))


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
        if b"serve" in words and str(folder).encode() in b" ".join(words):
            found.append(int(process.parent.name))
    return found


def _peak_mb(process: int) -> int:
    """Of resident memory, so far."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


if __name__ == "__main__":
    sys.exit(main())
