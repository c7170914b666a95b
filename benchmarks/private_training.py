"""One step of private training on one core: ours, Opacus' own loop and torch.func, against a plain step of PyTorch.

The network is the readmission study's with LayerNorm in place of BatchNorm (which mixes records). Every step is
forward, loss, backward, clipping and noise (of PyTorch's generator) where it is private, and SGD, on the same batch of
records. Times are CPU seconds, taken in turns, so that neighbours on the machine disturb all of them alike. Each method
has a process of its own, as in life: what one frees would change what the next one pays for its memory.

RESULT: `vs_plain` is ours over plain, `vs_opacus` is Opacus over ours, each the worst of the batch sizes, all of them
with the allocator's settings as they come.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional

from datasites.training.clipping import clipped_sum
from datasites.training.clipping.choose import Method
from datasites.training.graph import build
from researcher.tracing import initial_parameters, trace

BATCHES = (256, 1024)
ROWS = 4  # of a patient, where the unit is the patient
TURNS, WARM_UP = 60, 5
MOST_VS_PLAIN, LEAST_VS_OPACUS = 3.0, 5.0
FEATURES, RATE, CLIP, NOISE = 42, 0.05, 1.0, 1.0
Step = Callable[[], None]
_METHODS = ("plain", "ours", "opacus", "torch.func")


def main() -> int:
    table = Table("patients", "rows each", *(f"{name} ms" for name in _METHODS), "ours / plain", "opacus / ours")
    vs_plain, vs_opacus, by_patient = [], [], []
    for patients, rows in [(batch, 1) for batch in BATCHES] + [(batch, ROWS) for batch in BATCHES]:
        # Opacus clips rows, not patients, so it is there only where a patient is one row
        seconds = _in_turns([name for name in _METHODS if rows == 1 or name != "opacus"], patients, rows)
        plain, ours, opacus = seconds["plain"], seconds["ours"], seconds.get("opacus")
        if opacus is None:
            by_patient.append(ours / plain)
        else:
            vs_plain.append(ours / plain)
            vs_opacus.append(opacus / ours)
        table.add_row(
            *(str(patients), str(rows)),
            *(f"{1000 * seconds[name]:.2f}" if name in seconds else "-" for name in _METHODS),
            *(f"{ours / plain:.2f}", f"{opacus / ours:.1f}" if opacus is not None else "-"),
        )
    Console(width=140).print(table)
    result = {
        "vs_plain": round(max(vs_plain), 2),
        "vs_opacus": round(min(vs_opacus), 2),
        f"vs_plain_{ROWS}_rows_a_patient": round(max(by_patient), 2),
    }
    print("RESULT " + json.dumps(result))
    return 0 if result["vs_plain"] <= MOST_VS_PLAIN and result["vs_opacus"] >= LEAST_VS_OPACUS else 1


def network() -> nn.Sequential:
    def block(inputs: int, outputs: int, dropout: float) -> list[nn.Module]:
        return [nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.ReLU(), nn.Dropout(dropout)]

    return nn.Sequential(*block(FEATURES, 128, 0.3), *block(128, 64, 0.3), *block(64, 32, 0.2), nn.Linear(32, 1))


def _step(method: str, patients: int, rows: int) -> Step:
    inputs = torch.randn(patients, rows, FEATURES)
    targets = (torch.rand(patients, rows) < 0.2).float()
    flat = inputs.flatten(0, 1), targets.flatten()
    if method == "plain":
        return _plain(*flat)
    if method == "opacus":
        return _opacus(*flat)
    return _private("functional" if method == "torch.func" else "bookkeeping", inputs, targets)


def _loss(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(outputs.squeeze(1), targets)


def _plain(inputs: Tensor, targets: Tensor) -> Step:
    module = network()
    optimiser = torch.optim.SGD(module.parameters(), lr=RATE)

    def step() -> None:
        optimiser.zero_grad()
        _loss(module(inputs), targets).backward()
        optimiser.step()

    return step


def _private(method: Method, inputs: Tensor, targets: Tensor) -> Step:
    module = network()
    built = build(trace(module, FEATURES))
    built.load_state_dict({name: torch.tensor(array) for name, array in initial_parameters(module).items()})
    clipped = clipped_sum(built, "binary_cross_entropy", CLIP, method)
    optimiser = torch.optim.SGD(built.parameters(), lr=RATE)
    present = torch.ones(targets.shape, dtype=torch.bool)

    def step() -> None:
        sums = clipped(inputs, targets, present).sums
        for name, parameter in built.by_name.items():
            noise = torch.normal(0.0, NOISE * CLIP, parameter.shape)
            parameter.grad = (sums[name] + noise) / len(inputs)
        optimiser.step()

    return step


def _opacus(inputs: Tensor, targets: Tensor) -> Step:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from opacus import GradSampleModule
        from opacus.optimizers import DPOptimizer
    module = GradSampleModule(network())
    optimiser = DPOptimizer(
        torch.optim.SGD(module.parameters(), lr=RATE),
        noise_multiplier=NOISE,
        max_grad_norm=CLIP,
        expected_batch_size=len(inputs),
    )

    def step() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            optimiser.zero_grad()
            _loss(module(inputs), targets).backward()
            optimiser.step()

    return step


def _in_turns(methods: list[str], patients: int, rows: int) -> dict[str, float]:
    """Median CPU seconds of each method's step."""
    spawn = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        ends: dict[str, Connection] = {}
        for method in methods:
            ends[method], its = spawn.Pipe()
            child = spawn.Process(target=_serve, args=(its, method, patients, rows), daemon=True)
            child.start()
            stack.callback(child.join)
            stack.callback(ends[method].close)
        seconds: dict[str, list[float]] = {method: [] for method in methods}
        for turn in range(WARM_UP + TURNS):
            for method, end in ends.items():
                end.send(None)
                taken = end.recv()
                if turn >= WARM_UP:
                    seconds[method].append(taken)
    return {method: median(taken) for method, taken in seconds.items()}


def _serve(end: Connection, method: str, patients: int, rows: int) -> None:
    """A step, and the CPU seconds that it took, each time it is asked for."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    step = _step(method, patients, rows)
    while True:
        try:
            end.recv()
        except EOFError:
            return
        started = time.process_time()
        step()
        end.send(time.process_time() - started)


if __name__ == "__main__":
    sys.exit(main())
