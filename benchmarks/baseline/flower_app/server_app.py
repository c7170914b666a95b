"""The researcher under Flower: Flower's own FedAvg, timed round by round."""

import json
import os
from pathlib import Path
from time import perf_counter

import numpy as np
from flwr.app import Array, ArrayRecord, Context, MetricRecord, RecordDict
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Writes what came of it even when it fails: Flower reports a failed server app as a finished run."""
    try:
        result = _train(grid, context.run_config)
    except Exception as error:
        result = {"error": repr(error)}
        raise
    finally:
        path = Path(context.run_config["result"])
        path.with_suffix(".part").write_text(json.dumps(result))
        os.replace(path.with_suffix(".part"), path)


def _train(grid: Grid, options: dict) -> dict:
    import study  # here, so that a failing import is reported too

    config = json.loads(options["study"])
    initial = {name: Array(array) for name, array in study.initialize(config | {"round": 0}).items()}
    ends: list[float] = []
    done = _strategy(options).start(
        grid=grid,
        initial_arrays=ArrayRecord(initial),
        num_rounds=options["rounds"],
        evaluate_fn=lambda number, arrays: ends.append(perf_counter()),  # called before the first and after each round
    )
    _check_replies(done.train_metrics_clientapp, options)
    histogram = None
    if options["evaluate"]:
        _check_replies(done.evaluate_metrics_clientapp, options)
        histogram = done.evaluate_metrics_clientapp[options["rounds"]]["score_histogram"]
    parameters = {name: array.numpy() for name, array in done.arrays.items()}
    floats = [parameters[name] for name in parameters if initial[name].numpy().dtype.kind == "f"]
    norm = sum(float((array.astype(np.float64) ** 2).sum()) for array in floats) ** 0.5
    return {"seconds": np.diff(ends).tolist(), "norm": norm, "score_histogram": histogram}


def _strategy(options: dict) -> FedAvg:
    count = options["hospitals"]
    return FedAvg(
        fraction_evaluate=1.0 if options["evaluate"] else 0.0,
        min_train_nodes=count,
        min_evaluate_nodes=count,
        min_available_nodes=count,
        train_metrics_aggr_fn=_count,
        evaluate_metrics_aggr_fn=_pool,
    )


def _count(replies: list[RecordDict], weighted_by: str) -> MetricRecord:
    return MetricRecord({"replies": len(replies)})


def _pool(replies: list[RecordDict], weighted_by: str) -> MetricRecord:
    histograms = [reply["metrics"]["score_histogram"] for reply in replies]
    return MetricRecord({"replies": len(replies), "score_histogram": np.sum(histograms, axis=0).tolist()})


def _check_replies(metrics: dict[int, MetricRecord], options: dict) -> None:
    """Flower goes on with the hospitals that answered; such a round is not the workload."""
    for number in range(1, options["rounds"] + 1):
        replies = metrics[number]["replies"] if number in metrics else 0
        if replies != options["hospitals"]:
            raise RuntimeError(f"round {number}: {replies} of {options['hospitals']} hospitals answered")
