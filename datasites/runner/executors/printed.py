"""What a job prints, taken into the owner's log file of the study, which it cannot fill."""

from __future__ import annotations

import os
from pathlib import Path


class Printed:
    """The log file, at the agent's end of the line."""

    def __init__(self, log: Path, most_bytes: int) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        self._most = most_bytes

    def write(self, data: bytes) -> None:
        """Of a flood the beginning; the far end has kept from it what it could (`log.Keeper`)."""
        if room := max(0, self._most - os.fstat(self._log).st_size):
            os.write(self._log, data[:room])

    def close(self) -> None:
        """Once."""
        os.close(self._log)
