"""The root of every error a user of Wardround may meet.

WardroundError
├── InvalidInput      what was given cannot be used; the message says what is wrong, the hint what to do
├── Refused           understood, but not allowed
└── Unavailable       cannot be done now (store unreachable, hospital offline); trying again may help
    ├── DiskFull      this machine's disk has no room
    └── StoreAway     the store cannot be used now
        └── NotAllowed    it was reached, and says that this participant may not do that
"""

from __future__ import annotations


class WardroundError(Exception):
    """One sentence saying what is wrong, and a hint saying what to do about it.

    The text stays on the machine that raised it. What travels to another party is a
    `datasites.wire.reasons.Reason`, whose text is fixed and carries no data.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InvalidInput(WardroundError):
    """What was given cannot be used."""


class Refused(WardroundError):
    """Understood, but not allowed."""


class Unavailable(WardroundError):
    """Cannot be done now; trying again may help."""


class DiskFull(Unavailable):
    """This machine's disk has no room."""


class StoreAway(Unavailable):
    """The store cannot be used now."""


class NotAllowed(StoreAway):
    """The store was reached, and says that this participant may not do that. Its rights may be mended while we run."""
