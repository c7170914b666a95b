"""What keeps the agent from its work for a while: told once when it begins, and once when it is over."""

from __future__ import annotations

import logging

from datasites.monitoring.setbacks import count
from policies.errors import Unavailable

log = logging.getLogger(__name__)
PASSING = (Unavailable, OSError)  # the store is away, or this machine's disk is full: tried again until it works


class Trouble:
    """Of one part of the agent, called `who`."""

    def __init__(self, who: str) -> None:
        self._who = who
        self.now = ""

    def met(self, problem: Exception) -> None:
        count(problem)
        text = described(problem)
        if text != self.now:
            log.warning("%s: %s It will be tried again until it works.", self._who, text)
        self.now = text

    def over(self) -> None:
        if self.now:
            log.warning("%s goes on.", self._who)
        self.now = ""


def described(problem: Exception) -> str:
    """One sentence for the owner."""
    if isinstance(problem, OSError):
        return f"This machine's disk cannot be used ({problem.strerror or type(problem).__name__})."
    return problem.message if isinstance(problem, Unavailable) else str(problem)
