"""One rule a file; each returns every violation it finds. All of them must be content."""

from policies.rules import (
    calls,
    cohort,
    columns,
    imports,
    outputs,
    protections,
    purposes,
    researchers,
    rounds,
    runtime,
    size,
    tiers,
)
from policies.rules.base import Rule, Violation

ON_REQUEST: tuple[Rule, ...] = tuple(
    module.check
    for module in (researchers, purposes, columns, cohort, tiers, rounds, runtime, size, outputs, protections)
)
ON_CODE = (imports.judge, calls.judge)

__all__ = ["ON_CODE", "ON_REQUEST", "Violation"]
