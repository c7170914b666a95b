"""How far a model may move in one round.

The L2 norm, in float64, of what came back minus what was sent, over all arrays of floating-point numbers together:
weights, and BatchNorm's running means and variances as well, which are statistics of patients like any other. Whole
numbers have no place in a norm: a single one (BatchNorm's count of batches) is let through, more of them must come
back as they were sent.

With gate noise nothing is refused here: the update is clipped instead (see `noise`).
"""

from __future__ import annotations

import math

import numpy as np

from datasites.release.rules.base import Result, Violation
from datasites.release.terms import Terms
from datasites.wire.arrays import Arrays
from datasites.wire.reasons import Reason


def check(result: Result, terms: Terms) -> list[Violation]:
    most = terms.rules.release.max_update_norm if terms.rules else None
    came, sent = result.outcome.parameters, result.sent
    if most is None or terms.noise is not None or result.task != "fit":
        return []
    if any(name not in sent or sent[name].shape != array.shape for name, array in came.items()):
        return [Violation(Reason.NORM, "the model has other arrays than the one that was sent")]
    found = [
        f"array {name!r} holds whole numbers that were changed, which no norm bounds"
        for name, array in sorted(came.items())
        if array.dtype.kind != "f" and array.size > 1 and not np.array_equal(array, sent[name])
    ]
    if not update_norm(came, sent) <= most:  # so that what is not a number is refused
        found.append(f"the model moved further than {most:g}")
    return [Violation(Reason.NORM, text) for text in found]


def update_norm(came: Arrays, sent: Arrays) -> float:
    """Of the floating-point arrays in `came`; inf where it overflows."""
    squares = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for name, array in came.items():
            if array.dtype.kind == "f":
                moved = (array.astype(np.float64) - sent[name].astype(np.float64)).ravel()
                squares += float(moved @ moved)
    return math.sqrt(squares) if squares >= 0 else math.inf
