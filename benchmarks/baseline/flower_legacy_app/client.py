"""A hospital with Flower's deprecated `start_client`: one process that keeps its rows.

Arguments: the server's address, the rows, the study's folder and its configuration as JSON.
"""

import json
import sys
import time

import numpy as np
import pandas as pd
from flwr.client import NumPyClient, start_client

ADDRESS, ROWS, STUDY, CONFIG = sys.argv[1:]
sys.path.insert(0, STUDY)
import study  # noqa: E402  the folder is known only now

columns = np.load(ROWS)
TABLE = pd.DataFrame({name: columns[name] for name in columns.files})
NAMES = [*study.initialize(json.loads(CONFIG) | {"round": 0})]


class Hospital(NumPyClient):
    def fit(self, parameters: list[np.ndarray], config: dict) -> tuple[list[np.ndarray], int, dict]:
        arrays, examples, metrics = study.fit(dict(zip(NAMES, parameters, strict=True)), TABLE, _config(config))
        return [*arrays.values()], examples, metrics

    def evaluate(self, parameters: list[np.ndarray], config: dict) -> tuple[float, int, dict]:
        examples, metrics = study.evaluate(dict(zip(NAMES, parameters, strict=True)), TABLE, _config(config))
        histogram = metrics["score_histogram"].tobytes()
        return metrics["loss"], examples, {"score_histogram": histogram}


def _config(config: dict) -> dict:
    return json.loads(CONFIG) | {"round": config["round"]}


start_client(server_address=ADDRESS, client=Hospital().to_client(), insecure=True)
time.sleep(600)  # until stopped: it must not look like a daemon that died
