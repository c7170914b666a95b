"""Arrays besides the model: only those that the policy lists, tables of counts or of averages.

A table of counts holds each row of the hospital's table at most once, so its sum says whether it can be one. What
counts are left in it is rounded before it leaves (see `rounding`), and so are averages.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasites.release.rules.base import Result, Violation
from datasites.release.rules.metrics import GREATEST
from datasites.release.terms import Rules, Terms
from datasites.wire.reasons import Reason

_COUNTS = ("int32", "int64")  # a narrower one could not hold what a count is rounded to


def check(result: Result, terms: Terms) -> list[Violation]:
    if terms.rules is None or result.task != "evaluate":
        return []
    arrays, rules = result.outcome.arrays, terms.rules
    found = [f"array {name!r} {why}" for name in sorted(arrays) for why in _problems(name, arrays[name], rules)]
    return [Violation(Reason.OUTPUTS, text) for text in found]


def _problems(name: str, array: NDArray[Any], rules: Rules) -> Iterator[str]:
    most = rules.release.arrays.get(name)
    if most is None:
        yield "is not among those that may leave"
    elif array.ndim != len(most) or any(one > other for one, other in zip(array.shape, most, strict=True)):
        yield f"has the shape {array.shape}; at most {most} may leave"
    if array.dtype.kind == "f":
        if (np.abs(array) > GREATEST).any():
            yield f"has numbers above {GREATEST:g}"
    elif array.dtype.name not in _COUNTS:
        yield f"is {array.dtype.name}; counts must be int32 or int64"
    elif (array < 0).any():
        yield "has counts below 0"
    elif array.max(initial=0) > rules.cohort.rows or array.sum(dtype=np.float64) > rules.cohort.rows:
        yield "counts more rows than the table has"
    elif array.max(initial=0) > np.iinfo(array.dtype).max - rules.release.min_cell:
        yield f"has counts too large for {array.dtype.name}"
