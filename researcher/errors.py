"""Errors of the researcher's library.

WardroundError (policies.errors)
├── RehearsalFailed   the study's code does not run on the mock twins; its traceback is shown (only mock data)
├── RoundFailed       a round had too few usable answers
└── StudyFailed       a study ended without a result that could be used
"""

from __future__ import annotations

from policies.errors import WardroundError


class RehearsalFailed(WardroundError):
    """The study's code does not run on the mock twins."""


class RoundFailed(WardroundError):
    """A round had too few usable answers; nothing of it was kept."""


class StudyFailed(WardroundError):
    """A study ended without a usable result."""
