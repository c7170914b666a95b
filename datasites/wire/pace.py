"""How long to wait before the next look into a store, which cannot call: quick while something comes, else seldom."""

from __future__ import annotations

import time

_QUICK_SECONDS = 0.005


class Pace:
    """A wait is a share of the time in which nothing has come, so what comes is late by no more than that share of it.

    In T seconds of silence there are about (1 + ln(share * T / quick)) / share looks, until a wait is the longest: 150
    in a round of a minute, at the usual share. That is what a round costs, whatever number of hospitals takes part.
    """

    def __init__(self, longest: float, quick: float = _QUICK_SECONDS, share: float = 0.05) -> None:
        self.longest, self._quick, self._share = longest, quick, share
        self.came()

    def came(self) -> None:
        """Something has come: more may follow."""
        self._since = time.monotonic()

    def silence(self) -> float:
        """Seconds in which nothing has come."""
        return time.monotonic() - self._since

    def wait(self) -> float:
        """Seconds until the next look."""
        return min(max(self._quick, self._share * self.silence()), max(self.longest, self._quick))
