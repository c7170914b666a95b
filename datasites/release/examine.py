"""The gate's judgement on one result: from the bytes that the study's process sent to those that may leave."""

from __future__ import annotations

from dataclasses import dataclass

from datasites.release.rounding import rounded
from datasites.release.rules import RULES, Result, Violation
from datasites.release.terms import Terms
from datasites.runner.replies import Outcome, Task, decode_result
from datasites.wire.arrays import Arrays
from datasites.wire.reasons import Reason
from datasites.wire.spool import Buffer
from policies.errors import InvalidInput


@dataclass(frozen=True)
class Verdict:
    """Either what may leave, or `reason`, which the researcher is told, and `details` for the hospital alone."""

    released: Outcome | None
    reason: Reason | None = None
    details: tuple[str, ...] = ()


def examine(task: Task, frame: Buffer, sent: Arrays, spent: int, terms: Terms) -> Verdict:
    """Decodes a frame that nothing is known of, checks it against every rule, and rounds what may leave."""
    try:
        outcome = decode_result(task, frame)
    except InvalidInput as problem:
        return Verdict(None, Reason.BAD_OUTPUT, (problem.message,))
    violations = violations_of(Result(task, outcome, sent, spent), terms)
    if violations:
        return Verdict(None, violations[0].reason, tuple(one.text for one in violations))
    return Verdict(rounded(outcome, terms.rules) if terms.rules else outcome)


def violations_of(result: Result, terms: Terms) -> list[Violation]:
    """Every way in which a result differs from the terms."""
    return [violation for rule in RULES for violation in rule(result, terms)]
