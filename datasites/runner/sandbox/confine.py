"""What the worker does to the process of a call, from inside, before the study's code is there."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from datasites.runner.sandbox import landlock, privileges, seccomp
from datasites.runner.sandbox.base import Inside


class Confinement:
    """Made once by the worker; `apply` is then cheap (well under a millisecond). Raises OSError."""

    def __init__(
        self,
        inside: Inside,
        reads: Iterable[Path],
        scratch: Path,
        *,
        with_gpus: bool = False,
        loopback: bool = False,
    ) -> None:
        """loopback: TCP sockets are allowed, for where there is no network but the study's own."""
        self._inside = inside
        self._loopback = loopback
        files = inside is Inside.CALLS_AND_FILES
        self._rules = landlock.ruleset(reads, [scratch], with_gpus=with_gpus) if files else None

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What must be open where `apply` is called."""
        return () if self._rules is None else (self._rules,)

    def apply(self) -> None:
        """Confines the calling process and all that it starts, for good."""
        if self._inside is Inside.NOTHING:
            return
        privileges.no_new_privileges()
        privileges.drop_capabilities()
        if self._rules is None:
            seccomp.apply(seccomp.program(loopback=self._loopback))
        else:
            landlock.apply(self._rules)
            os.close(self._rules)
            seccomp.apply(landlock.call_filter())
