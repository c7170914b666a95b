"""What a sandbox is."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from datasites.runner.limits import Limits


class Inside(StrEnum):
    """What the worker does to the process of each call before the study's code is imported there."""

    NOTHING = "nothing"
    CALLS = "calls"  # system calls are filtered: see seccomp.py
    CALLS_AND_FILES = "calls and files"  # and files are confined by Landlock: see landlock.py


class Sandbox(Protocol):
    """One way to confine a worker: by rewriting the command that starts it, and by what the worker then does itself.

    The process limits of `rlimits.apply` always hold, whatever the sandbox: the worker applies them to itself.
    """

    @property
    def name(self) -> str:
        """One or two words."""
        ...

    @property
    def confines(self) -> str:
        """What it keeps the study's code from, and what not, in words for the data owner who decides."""
        ...

    @property
    def inside(self) -> Inside:
        """What the worker must do itself."""
        ...

    @property
    def own_network(self) -> bool:
        """Whether processes of a study may be given sockets: none of them leads to anything but each other.

        On mock data, where nothing is confined, they may.
        """
        ...

    def command(
        self, argv: Sequence[str], reads: Sequence[Path], scratch: Path, limits: Limits, *, several: bool = False
    ) -> list[str]:
        """The argv to start in place of `argv`.

        `reads` are absolute paths (the study's code, its table) that it may read besides the Python it runs on;
        `scratch` is the only folder that it may write. several: processes train together. Open file descriptors must
        pass through, and killing the started process must kill all that it started. A signal that ends the worker is
        passed on, as the same signal or as exit status 128 + signal. Raises Unavailable where this machine cannot
        confine so.
        """
        ...
