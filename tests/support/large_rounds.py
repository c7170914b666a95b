"""One party of a study with a large model, as a process of its own: the researcher, or all of its hospitals.

python -m tests.support.large_rounds researcher|hospitals FOLDER HOSPITALS
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from datasites.wire.arrays import Arrays
from datasites.wire.canonical import sha256
from datasites.wire.manifest import CodeFile, Manifest
from datasites.wire.outputs import ArraySpec, OutputContract
from datasites.wire.store import Store
from tests.support.boxes import BoxHospital, RegionStudy

SIZE = 8_000_000
MODEL_BYTES = 4 * SIZE  # float32


class Adding(BoxHospital):
    """Training that any sum can be checked by."""

    def train(self, state: Arrays) -> Arrays:
        return {"w": state["w"] + np.float32(self.place)}


def study(folder: Path, hospitals: int, size: int = SIZE) -> RegionStudy:
    """Of one round; parties that are other processes have the same keys."""
    store = Store(f"file://{folder}/store")
    sites: list[BoxHospital] = [Adding(folder, f"h{i}", float(i), 10, store) for i in range(hospitals)]
    contract = OutputContract(
        parameters={"w": ArraySpec(shape=(size,), dtype="float32")},
        fit_metrics=(),
        evaluate_metrics=(),
        evaluate_arrays={},
    )
    manifest = Manifest(
        name="large",
        purpose="Test",
        researcher="ada@uni.org",
        dataset="stays",
        dictionary=sha256(b""),
        columns=("days",),
        files={"study.py": CodeFile(sha256=sha256(b"x"), size=1)},
        config={},
        rounds=1,
        seconds_per_round=3600,
        outputs=contract,
    )
    return RegionStudy(folder, "study", manifest, {"w": np.ones(size, np.float32)}, sites, store)


def _researcher(of: RegionStudy) -> None:
    import researcher as wr

    rounds = wr.Rounds(of, evaluate=False, deadline=600)
    print("ready", flush=True)
    sys.stdin.readline()
    trained = rounds.run().parameters["w"]
    print(trained[0], trained[-1], flush=True)


def _hospitals(of: RegionStudy) -> None:
    print("ready", flush=True)
    while True:
        of.step()
        time.sleep(0.01)


if __name__ == "__main__":
    party, folder, number = sys.argv[1:]
    {"researcher": _researcher, "hospitals": _hospitals}[party](study(Path(folder), int(number)))
