"""The inside of a worker: confines itself, loads the study and its table, then answers tasks until its pipe closes.

Started by `process.Worker` as `python -I -m datasites.runner.worker ASSIGNMENT`; not for use by hand.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd

from datasites.runner import log
from datasites.runner.command import STUDY_MODULE, Assignment
from datasites.runner.errors import Code
from datasites.runner.frames import Closed, read_frame, write_frame
from datasites.runner.replies import TASKS, Task, encode_error, encode_ready, encode_result
from datasites.runner.sandbox import rlimits
from datasites.wire.arrays import unpack

_MAX_TASK = 1 << 62  # what the agent sends is the agent's affair
_ERRORS = {code: encode_error(code) for code in Code}  # made now: there may be no memory for it then


def main() -> None:
    """Runs the worker; returns when the agent closes its end."""
    assignment = Assignment.model_validate_json(sys.argv[1])
    for descriptor in (assignment.tasks, assignment.replies):
        os.set_inheritable(descriptor, False)  # a child of the study must not hold the pipes open
    rlimits.die_with_parent(assignment.tasks)
    rlimits.apply(assignment.limits)
    log.redirect(assignment.limits.file_bytes)
    try:
        _serve(assignment)
    except Closed:
        os._exit(0)  # the study's atexit hooks and threads have no say in this


def _serve(assignment: Assignment) -> None:
    study = _Study(assignment)
    write_frame(assignment.replies, _reply(study.load))
    while True:  # after a failure to load, the agent sends nothing more
        blob = read_frame(assignment.tasks, _MAX_TASK)
        write_frame(assignment.replies, _reply(partial(study.run, blob)))


class _Study:
    """The study's module and its table, kept over all rounds."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment

    def load(self) -> bytes:
        if pd.__version__.startswith("2."):  # from 3 on it is always so, and the option is deprecated
            pd.set_option("mode.copy_on_write", True)
        self._table = pd.read_parquet(self._assignment.table, use_threads=False)
        sys.path.insert(0, str(self._assignment.code))
        self._module = importlib.import_module(STUDY_MODULE)
        return encode_ready([task for task in TASKS if callable(getattr(self._module, task, None))])

    def run(self, blob: bytes) -> bytes:
        header, parameters = unpack(blob, len(blob))
        task, config = header["task"], header["config"]
        function: Callable[..., Any] = getattr(self._module, task)
        if task == "initialize":
            return _encode(task, function(config))
        # Copy-on-write: nothing is copied until the study writes into it, and the next round's table stays as it was.
        return _encode(task, function(parameters, self._table.copy(deep=False), config))


def _encode(task: Task, result: Any) -> bytes:
    try:
        return encode_result(task, result)
    except Exception as error:  # whatever objects the study returned, their methods may raise anything
        log.write_traceback(error)
        return _ERRORS[Code.OUT_OF_MEMORY if isinstance(error, MemoryError) else Code.BAD_OUTPUT]


def _reply(make: Callable[[], bytes]) -> bytes:
    """What `make` returns, or an error frame: no exception of the study's code, nor its text, gets past here."""
    try:
        reply = make()
        log.flush()
        return reply
    except BaseException as error:
        log.write_traceback(error)
        return _ERRORS[Code.OUT_OF_MEMORY if _is_out_of_memory(error) else Code.CODE_ERROR]


def _is_out_of_memory(error: BaseException) -> bool:
    # torch raises a plain RuntimeError when malloc fails
    return isinstance(error, MemoryError) or (type(error) is RuntimeError and "can't allocate memory" in str(error))


if __name__ == "__main__":
    main()
