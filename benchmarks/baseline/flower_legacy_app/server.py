"""The researcher with Flower's deprecated `start_server`, timed round by round.

Arguments: its address, the study's folder, and the options as JSON; see `flower.py`.
"""

import json
import os
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
from flwr.common import ndarrays_to_parameters, parameters_to_ndarrays
from flwr.server import ServerConfig, start_server
from flwr.server.strategy import FedAvg

ADDRESS, STUDY, OPTIONS = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
sys.path.insert(0, STUDY)
import study  # noqa: E402  the folder is known only now


class Timed(FedAvg):
    """FedAvg that notes when each round starts, what it ends with, and refuses a round without every hospital."""

    def configure_fit(self, server_round, parameters, client_manager):  # noqa: ANN001, ANN201
        client_manager.wait_for(OPTIONS["hospitals"])
        starts.append(perf_counter())
        return super().configure_fit(server_round, parameters, client_manager)

    def aggregate_fit(self, server_round, results, failures):  # noqa: ANN001, ANN201
        _check(server_round, results)
        final["parameters"], metrics = super().aggregate_fit(server_round, results, failures)
        return final["parameters"], metrics

    def aggregate_evaluate(self, server_round, results, failures):  # noqa: ANN001, ANN201
        if OPTIONS["evaluate"]:
            _check(server_round, results)
            histograms = [np.frombuffer(reply.metrics["score_histogram"], np.int64) for _, reply in results]
            final["score_histogram"] = np.sum(histograms, axis=0).tolist()
        return super().aggregate_evaluate(server_round, results, failures)


def _check(number: int, results: list) -> None:
    if len(results) != OPTIONS["hospitals"]:
        raise RuntimeError(f"round {number}: {len(results)} of {OPTIONS['hospitals']} hospitals answered")


def _train() -> dict:
    first = study.initialize(json.loads(OPTIONS["study"]) | {"round": 0})
    strategy = Timed(
        fraction_evaluate=1.0 if OPTIONS["evaluate"] else 0.0,
        min_fit_clients=OPTIONS["hospitals"],
        min_available_clients=OPTIONS["hospitals"],
        initial_parameters=ndarrays_to_parameters([*first.values()]),
        on_fit_config_fn=lambda number: {"round": number},
        on_evaluate_config_fn=lambda number: {"round": number},
    )
    # One round more than asked for: the start of the last one is the end of the one before.
    start_server(server_address=ADDRESS, config=ServerConfig(num_rounds=OPTIONS["rounds"]), strategy=strategy)
    last = parameters_to_ndarrays(final["parameters"])
    floats = [array.astype(np.float64) for array, like in zip(last, first.values(), strict=True) if like.dtype.kind == "f"]
    norm = sum(float((array**2).sum()) for array in floats) ** 0.5
    return {"starts": starts, "norm": norm, "score_histogram": final.get("score_histogram")}


starts: list[float] = []
final: dict = {}
try:
    result = _train()
except Exception as error:
    result = {"error": repr(error)}
path = Path(OPTIONS["result"])
path.with_suffix(".part").write_text(json.dumps(result))
os.replace(path.with_suffix(".part"), path)
