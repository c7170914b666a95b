"""Errors of the researcher's library.

WardroundError (policies.errors)
├── RehearsalFailed   the study's code does not run on the mock twins; its traceback is shown (only mock data)
├── RoundFailed       a round had too few usable answers
└── StudyFailed       a study ended without a result that could be used
"""

from __future__ import annotations

from pydantic import ValidationError

from policies.errors import InvalidInput, WardroundError


class RehearsalFailed(WardroundError):
    """The study's code does not run on the mock twins."""


class RoundFailed(WardroundError):
    """A round had too few usable answers; nothing of it was kept."""


class StudyFailed(WardroundError):
    """A study ended without a usable result."""


def unusable(error: ValidationError) -> InvalidInput:
    """What a study's request says wrongly, for its researcher."""
    wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
    return InvalidInput(f"The study cannot be submitted: {wrong}.")
