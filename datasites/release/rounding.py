"""What is done to numbers that may leave: averages get few decimals, counts become multiples of the least cell, and
those that may not leave are withheld."""

from __future__ import annotations

import hashlib
import hmac
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasites.release.terms import Rules
from datasites.release.withholding import withheld
from datasites.runner.replies import Outcome

EXAMPLES = 1  # every hospital weighs the same where how many rows it has is not told
Table = NDArray[Any]
_NO_SIGN = 0.0  # added to a number, it makes 0 of -0, whose sign would be one more bit
_DRAW = 8  # bytes; the remainder of so large a number is as good as uniform


def rounded(outcome: Outcome, rules: Rules) -> Outcome:
    """The same result, as it may leave. Neither the model nor what is kept is touched."""
    release = rules.release
    metrics = {name: round(value, release.decimals) + _NO_SIGN for name, value in outcome.metrics.items()}
    key = bytes.fromhex(rules.rounding_key)
    arrays = {name: _array(name, table, rules, key) for name, table in outcome.arrays.items()}
    told = EXAMPLES if release.hide_counts else outcome.num_examples
    return replace(outcome, num_examples=told, metrics=metrics, arrays=arrays)


def _array(name: str, table: Table, rules: Rules, key: bytes) -> Table:
    release = rules.release
    if table.dtype.kind == "f":
        return round_averages(table, release.decimals)
    if name not in release.tables:
        return round_counts(name, table, release.min_cell, key)
    marks = withheld(table, release.least_cell)
    shown = round_counts(name, np.where(marks, 0, table).astype(table.dtype), release.min_cell, key)
    return shown + marks


def round_averages(table: Table, decimals: int) -> Table:
    """In float64, for a small type's own range may not hold the steps between."""
    rounded_: Table = np.asarray(table.astype(np.float64).round(decimals) + _NO_SIGN).astype(table.dtype)
    return rounded_


def round_counts(name: str, table: Table, base: int, key: bytes) -> Table:
    """Unbiased random rounding of counts of any shape to multiples of `base`.

    Each count becomes the multiple below or above it, the nearer the likelier, so that it keeps its expectation: the
    method by which Statistics New Zealand publishes tables. Along the last axis the choices are made in dependence, so
    that sums over neighbouring cells are off by less than 3 * `base` instead of growing with the number of cells
    (ordered pivotal sampling: Deville and Tille, Biometrika 85, 1998; Chauvet, Bernoulli 18, 2012), and from both ends
    inwards, so that what does not add up to a multiple is left over in the middle, where it moves an AUC least.

    The choices are drawn by `key` and the table itself: the same table is rounded the same way each time it is asked
    for, and asking often averages nothing away. Another table, however alike, is rounded afresh.
    """
    if base == 1 or table.size == 0:
        return table
    counts = np.ascontiguousarray(table)
    seed = hmac.new(key, repr((name, counts.shape, counts.dtype.name, base)).encode() + b"\0", "sha256")
    seed.update(counts.tobytes())
    draws = iter(np.frombuffer(hashlib.shake_256(seed.digest()).digest(_DRAW * (3 * counts.size + 3)), "<u8").tolist())
    rows = counts.reshape(-1, counts.shape[-1]) if counts.ndim else counts.reshape(1, 1)
    up = np.zeros(rows.shape, counts.dtype)
    for row, chosen in zip((rows % base).tolist(), up, strict=True):
        chosen[_raised(row, base, draws)] = base
    rounded_: Table = (rows - rows % base + up).reshape(table.shape)
    return rounded_


def _raised(remainders: list[int], base: int, draws: Iterator[int]) -> list[int]:
    """The cells of a row whose count goes up: each with probability remainder / base, one out of every `base`."""
    cells = [(cell, remainder) for cell, remainder in enumerate(remainders) if remainder]
    sums = list(accumulate(remainder for _, remainder in cells))
    middle = bisect_left(sums, sums[-1] / 2) if cells else 0
    raised: list[int] = []
    left_over = _pass(cells[:middle:-1], base, draws, raised)
    cell, held = _pass([*cells[: middle + 1], left_over], base, draws, raised)
    if held and next(draws) % base < held:
        raised.append(cell)
    return raised


def _pass(cells: list[tuple[int, int]], base: int, draws: Iterator[int], raised: list[int]) -> tuple[int, int]:
    """One way along a row: adds to `raised`, and returns the cell that is undecided at the end with what it holds.

    One cell at a time is undecided, and holds the remainders that it has taken over from cells that stay below.
    """
    undecided, held = 0, 0
    for cell, remainder in cells:
        both = held + remainder
        if both == 0:
            continue
        if both <= base:
            undecided = cell if next(draws) % both < remainder else undecided
        elif next(draws) % (2 * base - both) < base - remainder:
            raised.append(undecided)
            undecided = cell
        else:
            raised.append(cell)
        held = both - base if both > base else both
        if held == base:
            raised.append(undecided)
            held = 0
    return undecided, held
