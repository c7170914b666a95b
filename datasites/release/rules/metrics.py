"""Metrics: only those that the policy lists, and of a size that a metric has.

They are rounded before they leave (see `rounding`). A number of any size could carry 52 bits past any rounding.
"""

from __future__ import annotations

from datasites.release.rules.base import Result, Violation
from datasites.release.terms import Terms
from datasites.wire.reasons import Reason

GREATEST = 1e9


def check(result: Result, terms: Terms) -> list[Violation]:
    if terms.rules is None:
        return []
    metrics, allowed = result.outcome.metrics, terms.rules.release.metrics
    found = [f"metric {name!r} is not among those that may leave" for name in sorted(metrics.keys() - set(allowed))]
    found += [f"metric {name!r} is above {GREATEST:g}" for name, value in metrics.items() if abs(value) > GREATEST]
    return [Violation(Reason.OUTPUTS, text) for text in found]
