"""How `wardround` ends: the numbers that scripts and schedulers see."""

from __future__ import annotations

from enum import IntEnum

from policies.errors import Refused, Unavailable, WardroundError


class Exit(IntEnum):
    """Exit codes of every command. Never give an old number a new meaning."""

    DONE = 0, "Done; of a check: all is well."
    UNUSABLE = 1, "What was given cannot be used, a check found something wrong, or a question was answered with no."
    USAGE = 2, "Wrong usage: an unknown command or option, a missing argument."
    REFUSED = 3, "Understood, but not allowed: by the policy, by a decision, or as another agent serves this home."
    UNAVAILABLE = 4, "Cannot be done now, such as when the store cannot be reached. Trying again may help."

    def __new__(cls, number: int, meaning: str) -> Exit:
        member = int.__new__(cls, number)
        member._value_ = number
        member.__doc__ = meaning
        return member

    @property
    def meaning(self) -> str:
        """In one sentence."""
        return str(self.__doc__)

    @classmethod
    def of(cls, error: WardroundError) -> Exit:
        """The code that an error ends a command with."""
        if isinstance(error, Refused):
            return cls.REFUSED
        return cls.UNAVAILABLE if isinstance(error, Unavailable) else cls.UNUSABLE
