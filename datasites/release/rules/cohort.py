"""Enough patients behind every number, as the hospital counted them, and no more than there are."""

from __future__ import annotations

from datasites.release.rules.base import Result, Violation
from datasites.release.terms import Terms
from datasites.wire.reasons import Reason


def check(result: Result, terms: Terms) -> list[Violation]:
    if terms.rules is None:
        return []
    least, cohort, said = terms.rules.release.min_cohort, terms.rules.cohort, result.outcome.num_examples
    found = []
    if cohort.rows < least:
        found.append(f"the table has fewer than {least:,} rows")
    if cohort.patients < terms.rules.min_patients:
        found.append(f"the table has fewer than {terms.rules.min_patients:,} patients")
    if said < least:
        found.append(f"the code says that fewer than {least:,} rows stand behind the result")
    if said > cohort.rows:
        found.append("the code says that more rows stand behind the result than the table has")
    return [Violation(Reason.COHORT, text) for text in found]
