"""The researcher with Flower's deprecated `start_server`, timed round by round.

Arguments: its address, the study's folder, and the options as JSON.
"""

import json
import os
import sys
import time
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from flwr.common import ndarrays_to_parameters, parameters_to_ndarrays
from flwr.server import ServerConfig, start_server
from flwr.server.strategy import FedAvg

ADDRESS, STUDY, OPTIONS = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
sys.path.insert(0, STUDY)
import study  # noqa: E402  the folder is known only now


class Timed(FedAvg):
    """FedAvg that notes when rounds end, and stops at a round that some hospital did not answer."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.ends = [perf_counter()]
        self.averaged: Any = None
        self.histogram: list[int] | None = None

    def aggregate_fit(self, server_round: int, results: list, failures: list) -> tuple:
        _check(server_round, results)
        self.averaged, metrics = super().aggregate_fit(server_round, results, failures)
        if not OPTIONS["evaluate"]:
            self.ends.append(perf_counter())
        return self.averaged, metrics

    def aggregate_evaluate(self, server_round: int, results: list, failures: list) -> tuple:
        _check(server_round, results)
        histograms = [np.frombuffer(reply.metrics["score_histogram"], np.int64) for _, reply in results]
        self.histogram = np.sum(histograms, axis=0).tolist()
        self.ends.append(perf_counter())
        return super().aggregate_evaluate(server_round, results, failures)


def _check(number: int, results: list) -> None:
    if len(results) != OPTIONS["hospitals"]:
        raise RuntimeError(f"round {number}: {len(results)} of {OPTIONS['hospitals']} hospitals answered")


def _train() -> dict[str, Any]:
    first = study.initialize(json.loads(OPTIONS["study"]) | {"round": 0})
    strategy = Timed(
        fraction_evaluate=1.0 if OPTIONS["evaluate"] else 0.0,
        min_fit_clients=OPTIONS["hospitals"],
        min_available_clients=OPTIONS["hospitals"],
        initial_parameters=ndarrays_to_parameters([*first.values()]),
        on_fit_config_fn=lambda number: {"round": number},
        on_evaluate_config_fn=lambda number: {"round": number},
    )
    start_server(server_address=ADDRESS, config=ServerConfig(num_rounds=OPTIONS["rounds"]), strategy=strategy)
    last = zip(parameters_to_ndarrays(strategy.averaged), first.values(), strict=True)
    norm = sum(float((array.astype(np.float64) ** 2).sum()) for array, like in last if like.dtype.kind == "f") ** 0.5
    return {"seconds": np.diff(strategy.ends).tolist(), "norm": norm, "score_histogram": strategy.histogram}


try:
    result = _train()
except Exception as error:
    result = {"error": repr(error)}
path = Path(OPTIONS["result"])
path.with_suffix(".part").write_text(json.dumps(result))
os.replace(path.with_suffix(".part"), path)
time.sleep(600)  # until stopped: it must not look like a daemon that died
