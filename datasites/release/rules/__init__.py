"""The gate's rules, one a file. The first violation's reason is the one that travels."""

from __future__ import annotations

from datasites.release.rules import cohort, contract, finite, metrics, norm, quota, tables, uncovered
from datasites.release.rules.base import Result, Rule, Violation

RULES: tuple[Rule, ...] = (
    contract.check,
    finite.check,
    cohort.check,
    quota.check,
    norm.check,
    metrics.check,
    tables.check,
    uncovered.check,
)


__all__ = ["RULES", "Result", "Rule", "Violation"]
