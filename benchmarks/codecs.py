"""What compression saves and what it costs: every codec on the real readmission table, 3 hospitals.

    python -m benchmarks codecs                   # DATA=path/to/diabetic_data.csv.gz for another place

The demo's study with FedAvg, as in `benchmarks.algorithms`: `fit` and `evaluate` at each hospital in this process, the
hospital's own compression (`datasites.release.compressed`, with its error feedback) and the researcher's reading of it.
Prints a RESULT of one JSON for each compression: `update_bytes`, what a model is on the wire in a round (mean
over rounds, hospitals and seeds; the message around it is not counted), `times_smaller` than the model as it is, the
same for the state that is sent to a hospital, `mean_auc` over hospitals' test patients after the last round with its
difference from no compression, seed by seed, and milliseconds to compress and to read one update. The last few are
the same with hidden layers four times as wide (`width`): of so small a model as the demo's, BatchNorm's statistics,
which travel whole, are most of what is left at 1%. Makes docs/codecs.md.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from benchmarks.algorithms import DATA, ROOT, SPLIT_SEED, STEPS, Problem, _study, _tables, aucs, load_once
from datasites.release.compressed import compressed
from datasites.wire.arrays import Arrays, nbytes
from datasites.wire.canonical import sha256
from datasites.wire.compression import packed, read_state, read_update, send_state
from datasites.wire.contract import describe_arrays
from datasites.wire.manifest import CodeFile, Manifest
from datasites.wire.outputs import OutputContract
from researcher.strategies import FedAvg, Update

SEEDS, ROUNDS, SPLIT = 3, 20, "3 hospitals"
BOTH = {  # name: (to the researcher, to the hospitals)
    "as it is": ("", ""),
    "zstd": ("delta+zstd", ""),
    "half": ("half", ""),
    "int8": ("delta+int8", ""),
    "int8+zstd": ("delta+int8+zstd", ""),
    "int4+zstd": ("delta+feedback+int4+zstd", ""),
    "sign": ("delta+feedback+sign", ""),
    "top 10%": ("delta+feedback+topk(0.1)+int8+zstd", ""),
    "top 1%": ("delta+feedback+topk(0.01)+int8+zstd", ""),
    "top 1%, no feedback": ("delta+topk(0.01)+int8+zstd", ""),
    "int8 both ways": ("delta+int8+zstd", "int8+zstd"),
    "top 1% up, int8 down": ("delta+feedback+topk(0.01)+int8+zstd", "int8+zstd"),
}
WIDE = ("as it is", "int8+zstd", "top 1%")  # also done with the wide network
JOBS = [(1, name) for name in BOTH] + [(4, name) for name in WIDE]  # (width, compression)


@dataclass
class Run:
    auc: float
    curve: list[float] = field(default_factory=list)
    up: list[int] = field(default_factory=list)
    down: list[int] = field(default_factory=list)
    packing: list[float] = field(default_factory=list)
    reading: list[float] = field(default_factory=list)


def main() -> int:
    """Returns the exit status: 0 also where there is no table to run on."""
    if not DATA.is_file():
        print(f"Skipped: the real readmission table is not at {DATA}. Give its place with DATA=...")
        return 0
    jobs = [(seed, *job) for seed in range(SEEDS) for job in JOBS]
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), load_once) as pool:
        runs = dict(zip(jobs, pool.map(_run, jobs), strict=True))
    results = [_summary(runs, *job) for job in JOBS]
    for result in results:
        print("RESULT " + json.dumps(result))
    _write(results, ROOT / "docs" / "codecs.md")
    return 0


def _run(job: tuple[int, int, str]) -> Run:
    seed, width, name = job
    config = {"seed": seed, "split_seed": SPLIT_SEED, "local_epochs": 1000, "max_batches": STEPS}
    problem = Problem(_study[0], _tables(SPLIT, seed), config)
    problem.study.network.build = partial(_network, problem.study.network, width)
    state: Arrays = problem.study.initialize({**config, "round": 0})
    kept: dict[str, Arrays] = {hospital: {} for hospital in problem.tables}
    manifest, run = _manifest(state, *BOTH[name]), Run(0.0)
    for number in range(1, ROUNDS + 1):
        message, sent = send_state(manifest, state)
        assert nbytes(read_state(manifest, message)) == nbytes(sent)
        aggregation = FedAvg().begin(state, {})
        for hospital, table in problem.tables.items():
            trained, examples, _ = problem.study.fit(sent, table, {**config, "round": number})
            read, kept[hospital] = _through(manifest.outputs, trained, sent, kept[hospital], run)
            aggregation.add(Update(hospital, read, examples))
            run.down.append(nbytes(message))
        state, _ = aggregation.result()
        run.curve.append(float(np.mean(aucs(problem, dict.fromkeys(problem.tables, state)))))
    run.auc = run.curve[-1]
    return run


def _network(network: Any, width: int) -> nn.Sequential:
    """The study's network, with hidden layers of `width` times as many units."""
    block, (first, second, third) = network._block, (width * units for units in (128, 64, 32))
    return nn.Sequential(
        *block(42, first, 0.3), *block(first, second, 0.3), *block(second, third, 0.2), nn.Linear(third, 1)
    )


def _through(contract: OutputContract, trained: Arrays, sent: Arrays, kept: Arrays, run: Run) -> tuple[Arrays, Arrays]:
    """(what the researcher reads, what stays at the hospital)."""
    if contract.pipeline is None:
        run.up.append(nbytes(trained))
        return trained, {}
    began = time.perf_counter()
    small = compressed(trained, sent, kept, contract, None)
    packing, message = time.perf_counter(), packed(small.blob)
    read = read_update(contract, message, sent)
    run.packing.append(packing - began)
    run.reading.append(time.perf_counter() - packing)
    run.up.append(len(small.blob))
    return read, small.residual


def _manifest(state: Arrays, up: str, down: str) -> Manifest:
    contract = OutputContract(
        parameters=describe_arrays(state), fit_metrics=(), evaluate_metrics=(), evaluate_arrays={}, compression=up
    )
    return Manifest(
        name="codecs",
        purpose="Benchmark",
        researcher="ada@uni.org",
        dataset="stays",
        dictionary=sha256(b""),
        columns=("a",),
        files={"study.py": CodeFile(sha256=sha256(b""), size=0)},
        config={},
        rounds=ROUNDS,
        seconds_per_round=60,
        outputs=contract,
        state_compression=down,
    )


def _summary(runs: dict[tuple[int, int, str], Run], width: int, name: str) -> dict[str, Any]:
    mine = [runs[seed, width, name] for seed in range(SEEDS)]
    plain = [runs[seed, width, "as it is"] for seed in range(SEEDS)]
    mean = lambda values: float(np.mean([np.mean(one) for one in values])) if any(values) else 0.0  # noqa: E731
    up, down = mean([run.up for run in mine]), mean([run.down for run in mine])
    differences = [run.auc - other.auc for run, other in zip(mine, plain, strict=True)]
    return {
        "compression": name,
        "width": width,
        "up": BOTH[name][0],
        "down": BOTH[name][1],
        "update_bytes": round(up),
        "times_smaller": round(mean([run.up for run in plain]) / up, 2),
        "state_bytes": round(down),
        "state_times_smaller": round(mean([run.down for run in plain]) / down, 2),
        "bytes_a_round": round(3 * (up + down)),
        "mean_auc": round(mean([[run.auc] for run in mine]), 4),
        "auc_difference": round(float(np.mean(differences)), 4),
        "worst_difference": round(min(differences), 4),
        "milliseconds_to_compress": round(1000 * mean([run.packing for run in mine]), 2),
        "milliseconds_to_read": round(1000 * mean([run.reading for run in mine]), 2),
        "curve": [round(float(np.mean([run.curve[i] for run in mine])), 4) for i in range(ROUNDS)],
    }


def _write(results: list[dict[str, Any]], path: Path) -> None:
    head = (
        "# Compressions on the real readmission table\n\nMade by `make bench ONLY=codecs`; see docs/compression.md for "
        f"what it means. 3 hospitals, {ROUNDS} rounds of FedAvg, means of {SEEDS} seeds. Width: of the hidden layers, "
        "in those of the demo's network.\n\n"
        "| width | to the researcher | to hospitals | bytes of an update | times smaller | bytes of a state | "
        "times smaller | mean AUC | difference (worst seed) |\n|---|---|---|---|---|---|---|---|---|\n"
    )
    rows = [
        f"| {r['width']} | {r['up'] or 'as it is'} | {r['down'] or 'as it is'} | {r['update_bytes']:,} | "
        f"{r['times_smaller']:.1f} | {r['state_bytes']:,} | {r['state_times_smaller']:.1f} | {r['mean_auc']:.4f} | "
        f"{r['auc_difference']:+.4f} ({r['worst_difference']:+.4f}) |\n"
        for r in results
    ]
    path.write_text(head + "".join(rows))


if __name__ == "__main__":
    sys.exit(main())
