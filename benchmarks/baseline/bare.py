"""Federated averaging with nothing around it: a process a hospital, pipes, and no security, privacy or durability.

No system can be faster on the same machine, so what a system takes beyond this is what the system costs.

    python -m benchmarks.baseline.bare --rounds 20
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.baseline import workload
from benchmarks.baseline.report import show
from benchmarks.baseline.workload import CONFIGS, EVALUATED, HOSPITALS, Arrays, BaselineFailed, Outcome
from researcher.metrics import federated_auc


def measure(rounds: int, mode: str) -> list[float]:
    """Seconds of each of `rounds` rounds but the first. mode: "one-batch" or "one-epoch" (which also evaluates)."""
    return run(rounds, mode).seconds


def run(rounds: int, mode: str) -> Outcome:
    """Like `measure`, with the averaged model's norm and AUC. Raises BaselineFailed where a process ends early."""
    workload.check(rounds, mode)
    seconds, auc = [], None
    with _hospitals() as pipes:
        parameters = workload.study().initialize(CONFIGS[mode] | {"round": 0})
        for number in range(1, rounds + 1):
            config = CONFIGS[mode] | {"round": number}
            started = perf_counter()
            parameters = _average(_ask_all(pipes, "fit", parameters, config))
            if mode in EVALUATED:
                replies = _ask_all(pipes, "evaluate", parameters, config)
                auc = federated_auc(metrics["score_histogram"] for _, metrics in replies)
            seconds.append(perf_counter() - started)
    return Outcome(seconds[1:], workload.norm(parameters), auc)


@contextmanager
def _hospitals() -> Iterator[list[Connection]]:
    """A pipe to each hospital's process, all of them ready."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for hospital in HOSPITALS:
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(hospital, theirs), daemon=True)
        process.start()
        theirs.close()  # so that a dead process ends our waiting
        pipes.append(ours)
        processes.append(process)
    try:
        for pipe in pipes:
            _receive(pipe)
        yield pipes
    finally:
        for pipe, process in zip(pipes, processes, strict=True):
            pipe.close()
            process.join(timeout=10)
            process.kill()


def _serve(hospital: str, pipe: Connection) -> None:
    """A hospital: load the rows once, then answer until the other end is closed."""
    study, table = workload.study(), workload.table(hospital)
    pipe.send("ready")
    try:
        while True:
            function, parameters, config = pipe.recv()
            pipe.send(getattr(study, function)(parameters, table, config))
    except EOFError:
        return


def _ask_all(pipes: list[Connection], function: str, parameters: Arrays, config: dict[str, Any]) -> list[Any]:
    for pipe in pipes:
        pipe.send((function, parameters, config))
    return [_receive(pipe) for pipe in pipes]


def _receive(pipe: Connection) -> Any:
    try:
        return pipe.recv()
    except EOFError:
        raise BaselineFailed("A hospital's process ended; its error is printed above.") from None


def _average(replies: list[tuple[Arrays, int, dict[str, float]]]) -> Arrays:
    """Weighted by examples; whole-number buffers are rounded."""
    total = sum(examples for _, examples, _ in replies)
    mean = {
        name: sum(parameters[name] * np.float64(examples / total) for parameters, examples, _ in replies)
        for name in replies[0][0]
    }
    like = replies[0][0]
    return {
        name: np.asarray(value if like[name].dtype.kind == "f" else np.rint(value), dtype=like[name].dtype)
        for name, value in mean.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="the first one warms up and is not timed")
    parser.add_argument("--mode", choices=[*CONFIGS, "both"], default="both")
    options = parser.parse_args()
    modes = [*CONFIGS] if options.mode == "both" else [options.mode]
    try:
        show({f"bare processes, {mode}": run(options.rounds, mode) for mode in modes})
    except BaselineFailed as failure:
        parser.exit(1, f"{failure}\n")


if __name__ == "__main__":
    main()
