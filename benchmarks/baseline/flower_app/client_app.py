"""A hospital under Flower: calls the study's own functions on the hospital's rows.

Flower starts a process for every message, so the rows are read every time: that is part of what a round costs.
"""

import json

import numpy as np
import pandas as pd
import study
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    parameters, examples, metrics = study.fit(*_arguments(message, context))
    arrays = ArrayRecord({name: Array(array) for name, array in parameters.items()})
    return _reply(message, examples, metrics, {"arrays": arrays})


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    examples, metrics = study.evaluate(*_arguments(message, context))
    return _reply(message, examples, metrics, {})


def _arguments(message: Message, context: Context) -> tuple[dict[str, np.ndarray], pd.DataFrame, dict]:
    parameters = {name: array.numpy() for name, array in message.content["arrays"].items()}
    columns = np.load(context.node_config["table"])
    config = json.loads(context.run_config["study"]) | {"round": message.content["config"]["server-round"]}
    return parameters, pd.DataFrame({name: columns[name] for name in columns.files}), config


def _reply(message: Message, examples: int, metrics: dict, records: dict) -> Message:
    plain = {name: np.ravel(value).tolist() if np.ndim(value) else value for name, value in metrics.items()}
    metrics_record = MetricRecord(plain | {"num-examples": examples})
    return Message(content=RecordDict(records | {"metrics": metrics_record}), reply_to=message)
