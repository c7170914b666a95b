"""Which columns code may see, and whether it may tell which rows belong to one patient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.rules.base import Violation, matches

if TYPE_CHECKING:
    from policies.policy import Policy
    from policies.request import StudyRequest


def check(policy: Policy, request: StudyRequest) -> list[Violation]:
    found = [_column(policy, column) for column in request.columns if not _allowed(policy, column)]
    if not request.columns:
        found.append(Violation("columns", "The study does not say which columns it needs.", "Name its columns."))
    if request.pseudonyms and not policy.data.pseudonyms:
        reason = "The code would see which rows belong to one patient, and this policy does not allow it."
        found.append(Violation("columns", reason, "Use the private tier, in which no study code meets a row."))
    return found


def _allowed(policy: Policy, column: str) -> bool:
    return matches(column, policy.data.columns) and not matches(column, policy.data.never_columns)


def _column(policy: Policy, column: str) -> Violation:
    why = "may never be used" if matches(column, policy.data.never_columns) else "is not among those allowed"
    return Violation("columns", f"The column {column!r} {why}.", "Leave it out of the study's columns.")
