"""Numbers only: a NaN has 52 bits that nobody looks at, and spoils the model besides."""

from __future__ import annotations

import math

from datasites.release.rules.base import Result, Violation
from datasites.release.terms import Terms
from datasites.wire.contract import not_finite
from datasites.wire.reasons import Reason


def check(result: Result, terms: Terms) -> list[Violation]:
    outcome = result.outcome
    found = not_finite({**outcome.parameters, **outcome.arrays})
    found += [f"kept {text}" for text in not_finite(outcome.kept)]
    found += [f"metric {name!r} is not finite" for name, value in outcome.metrics.items() if not math.isfinite(value)]
    return [Violation(Reason.BAD_OUTPUT, text) for text in found]
