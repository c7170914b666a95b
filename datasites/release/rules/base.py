"""What a rule of the gate is: a function that compares a result with the terms and returns every violation it finds.

Its words name arrays, metrics, shapes and limits, never a value: they go into the hospital's log. The names come from
the study's code, so they stay at home too; the researcher is told the violation's fixed `reason`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from datasites.release.terms import Terms
from datasites.runner.replies import Outcome, Task
from datasites.wire.arrays import Arrays
from datasites.wire.reasons import Reason


@dataclass(frozen=True)
class Result:
    """One result that wants to leave. `sent` is the global state it was made from; `spent`, the bytes that this round
    has let out already."""

    task: Task
    outcome: Outcome
    sent: Arrays = field(default_factory=dict)
    spent: int = 0


@dataclass(frozen=True)
class Violation:
    reason: Reason
    text: str


Rule = Callable[[Result, Terms], list[Violation]]
