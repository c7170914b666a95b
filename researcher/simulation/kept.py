"""What simulated hospitals keep from one round to the next, in memory, as real ones do on their disks."""

from __future__ import annotations

from dataclasses import dataclass, replace

from datasites.wire.arrays import Arrays


@dataclass(frozen=True)
class _Round:
    """Message `number`: what training was given, and what the next message will be."""

    number: int
    given: Arrays
    left: Arrays


class SimulatedKept:
    """By hospital. From any thread, as long as one hospital is in one thread at a time."""

    def __init__(self) -> None:
        self._last: dict[str, _Round] = {}

    def before(self, hospital: str, number: int) -> Arrays:
        """What message `number` is given: empty at first, and the same again for a message that is posted again."""
        last = self._last.get(hospital)
        if last is None:
            return {}
        return last.given if last.number == number else last.left

    def commit(self, hospital: str, number: int, left: Arrays) -> None:
        """What training left; nothing where it failed or was not asked for: then what it was given stays."""
        given = self.before(hospital, number)
        self._last[hospital] = _Round(number, given, left or given)

    def undo(self, hospital: str, number: int) -> None:
        """The message was taken back before the hospital began to work on it."""
        last = self._last.get(hospital)
        if last is not None and last.number == number:
            self._last[hospital] = replace(last, left=last.given)
