"""Arrays besides the model: only those that the policy lists, tables of counts or of averages.

A table of counts holds each row of the hospital's table at most once, so its sum says whether it can be one; among the
policy's `tables`, each of its rows does. Of these small cells are withheld (see `withholding`). What counts are left is
rounded before it leaves (see `rounding`), and so are averages.
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
    release = rules.release
    by_row = name in release.tables
    most = release.tables.get(name) or release.arrays.get(name)
    if most is None:
        yield "is not among those that may leave"
    elif array.ndim != len(most) or any(one > other for one, other in zip(array.shape, most, strict=True)):
        yield f"has the shape {array.shape}; at most {most} may leave"
    if array.dtype.kind == "f" and not by_row:
        if (np.abs(array) > GREATEST).any():
            yield f"has numbers above {GREATEST:g}"
    elif array.dtype.name not in _COUNTS:
        yield f"is {array.dtype.name}; counts must be int32 or int64"
    elif (array < 0).any():
        yield "has counts below 0"
    elif array.max(initial=0) > rules.cohort.rows or _greatest_sum(array, by_row) > rules.cohort.rows:
        yield "counts more rows than the table has"
    elif array.max(initial=0) > np.iinfo(array.dtype).max - release.least_cell:
        yield f"has counts too large for {array.dtype.name}"


def _greatest_sum(array: NDArray[Any], by_row: bool) -> float:
    return float((array.sum(-1, np.float64) if by_row and array.ndim else array.sum(dtype=np.float64)).max(initial=0))
