"""The study's code at work, in the process of a call."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from datasites.runner import log
from datasites.runner.command import STUDY_MODULE
from datasites.runner.errors import Code
from datasites.runner.replies import TASKS, Task, encode_error, encode_ready, encode_result
from datasites.runner.tasks import decode_call

LOAD = b""  # the task of only importing the code, and telling which functions it has
_ERRORS = {code: encode_error(code) for code in Code}  # made now: there may be no memory for it then


class Answering:
    """Turns a task into a reply; what it does for the two kinds of task is the subclass's."""

    def answer(self, task: bytes) -> bytes:
        """The reply frame: no exception of the study's code, nor its text, gets past here."""
        try:
            reply = self._load() if task == LOAD else self._run(task)
            log.flush()
            return reply
        except BaseException as error:
            log.write_traceback(error)
            return _ERRORS[Code.OUT_OF_MEMORY if _is_out_of_memory(error) else Code.CODE_ERROR]

    def _load(self) -> bytes:
        raise NotImplementedError

    def _run(self, task: bytes) -> bytes:
        raise NotImplementedError


class Study(Answering):
    """A study's table, and its code once a process has imported it."""

    def __init__(self, code: Path, table: Path) -> None:
        """Reads the table."""
        if pd.__version__.startswith("2."):  # from 3 on it is always so, and the option is deprecated
            pd.set_option("mode.copy_on_write", True)
        self._code = code
        self._table = pd.read_parquet(table, use_threads=False)

    def _load(self) -> bytes:
        module = self._import()
        return encode_ready([task for task in TASKS if callable(getattr(module, task, None))])

    def _run(self, task: bytes) -> bytes:
        call = decode_call(task)
        function: Callable[..., Any] = getattr(self._import(), call.task)
        if call.task == "initialize":
            return encode(call.task, function(call.config))
        given = {"kept": call.kept} if _takes_kept(function) else {}
        return encode(call.task, function(call.parameters, self._table, call.config, **given))

    def _import(self) -> ModuleType:
        """The one file, whatever else there is that Python would take for a module of this name."""
        sys.path.insert(0, str(self._code))
        loader = SourceFileLoader(STUDY_MODULE, str(self._code / f"{STUDY_MODULE}.py"))
        spec = ModuleSpec(STUDY_MODULE, loader, origin=loader.path)
        spec.has_location = True
        module = module_from_spec(spec)
        sys.modules[STUDY_MODULE] = module
        loader.exec_module(module)
        return module


def encode(task: Task, result: Any) -> bytes:
    try:
        return encode_result(task, result)
    except Exception as error:  # whatever objects the study returned, their methods may raise anything
        log.write_traceback(error)
        return _ERRORS[Code.OUT_OF_MEMORY if isinstance(error, MemoryError) else Code.BAD_OUTPUT]


def _takes_kept(function: Callable[..., Any]) -> bool:
    """Whether it asks, by an argument of that name, for what the last round left."""
    try:
        return "kept" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # something callable that Python cannot look into
        return False


def _is_out_of_memory(error: BaseException) -> bool:
    # torch raises a plain RuntimeError when malloc fails
    return isinstance(error, MemoryError) or (type(error) is RuntimeError and "can't allocate memory" in str(error))
