"""Where the gate adds noise to the model, nothing leaves that it does not cover."""

from __future__ import annotations

from datasites.release.rules.base import Result, Violation
from datasites.release.terms import Terms
from datasites.wire.reasons import Reason


def check(result: Result, terms: Terms) -> list[Violation]:
    if terms.noise is None:
        return []
    found = [f"metric {name!r} has no noise" for name in sorted(result.outcome.metrics)]
    if result.task != "fit":
        found.append("an evaluation has no noise")
    return [Violation(Reason.OUTPUTS, text) for text in found]
