"""The hospital's own training at work, in the process of a call: in the place of a study's code, as confined."""

from __future__ import annotations

import importlib
from pathlib import Path

import pandas as pd

from datasites.runner.command import TRAINING_FILE
from datasites.runner.replies import encode_ready
from datasites.runner.study import Answering, encode
from datasites.runner.tasks import decode_call
from datasites.training.private.study import trusted
from policies.errors import InvalidInput


class Trusted(Answering):
    """Prepares the table once, in the worker; noise is drawn from a new key in each call's own process."""

    def __init__(self, code: Path, table: Path) -> None:
        importlib.import_module("torch._dynamo")  # every optimizer imports it when it is made, which takes a second
        self._study = trusted((code / TRAINING_FILE).read_bytes(), pd.read_parquet(table, use_threads=False))

    def _load(self) -> bytes:
        return encode_ready(self._study.tasks)

    def _run(self, task: bytes) -> bytes:
        call = decode_call(task)
        if call.task == "fit":
            return encode("fit", self._study.fit(call.parameters))
        if call.task == "evaluate":
            return encode("evaluate", self._study.evaluate(call.parameters))
        raise InvalidInput("The hospital's own training has no such task.")
