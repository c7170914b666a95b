"""How running a study's code can fail.

WardroundError
├── WorkerFailed      one of seven codes, each with a fixed public sentence; the detail stays in the hospital's log file
└── Unavailable
    └── NotStarted    no worker could be started, on a cluster for instance: nothing ran, and nothing is charged
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from datasites.wire.reasons import Reason
from policies.errors import Unavailable, WardroundError


class Code(StrEnum):
    """Why a call failed: those of the wire's reasons that a worker can give, with their fixed sentences."""

    CODE_ERROR = "code_error"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    OUTPUT_TOO_LARGE = "output_too_large"
    BAD_OUTPUT = "bad_output"
    DIED = "died"
    STOPPED = "stopped"


class WorkerFailed(WardroundError):
    """A worker failed to start or to answer. Its text is fixed by `code`; after any code but CODE_ERROR it is dead.

    `log` is the hospital's file with the traceback and printed text. Never send its path or its content on.
    """

    def __init__(self, code: Code, log: Path | None = None) -> None:
        super().__init__(Reason(code).text)
        self.code = code
        self.log = log


class NotStarted(Unavailable):
    """No worker could be started where it should run. The sentence is for the owner, and stays here."""
