"""What a rule is: a function that compares one part of a request with one part of a policy.

A rule returns every violation it finds. It refuses what it does not understand. Its words are for the data owner and
may be handed on to the researcher: they hold nothing that was measured at the hospital.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policies.policy import Policy
    from policies.request import StudyRequest


@dataclass(frozen=True)
class Violation:
    """Which rule, why it says no, and what the researcher (or the owner) would have to change. Whole sentences."""

    rule: str
    reason: str
    change: str

    def __str__(self) -> str:
        return f"{self.reason} {self.change}"


Rule = Callable[["Policy", "StudyRequest"], list[Violation]]


def matches(text: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns is the whole text; `*` stands for any text, case and spacing do not count."""
    plain = _plain(text)
    return any(re.fullmatch(re.escape(_plain(p)).replace(r"\*", ".*"), plain, re.DOTALL) for p in patterns)


def listed(names: Iterable[str]) -> str:
    """Names in a sentence."""
    return ", ".join(names) or "none"


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
