"""What hospitals add up, as numbers modulo 2^64, and what is read of the sum.

Each hospital adds, for training: its number of examples n, n times each parameter's change since the state that was
sent, and for each metric n times its value and, where it has one, n. For a test the same of its metrics, and each array
as it is. A change is counted in steps of `terms.step`. As n and each change are bounded, so is the sum: it cannot pass
half of the ring, and what is read is exact but for the step.

Of `terms.tables`, cells below 0 are withheld (see the gate's `withholding`): 0 is added for them, and 1 to the number
of hospitals that withhold the cell. That it is withheld was decided at each hospital, by its own policy; the sum tells
how many hospitals did so, not which. How far rounding may move a count is added too, once a table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasites.wire.arrays import Arrays
from datasites.wire.outputs import ArraySpec, OutputContract
from datasites.wire.secagg.masks import Ring
from datasites.wire.secagg.terms import SecureAggregation
from policies.errors import InvalidInput

Whole = NDArray[np.int64]
MOST_COUNT = 2**52  # of a cell of a table


@dataclass(frozen=True)
class Part:
    """Of training or of a test, at one hospital or of all that are in the sum; `arrays` are a model's or tables.

    rounding: of a sum, by table: what its counts are multiples of, added up over the hospitals that round them."""

    examples: int
    metrics: dict[str, float]
    arrays: Arrays = field(default_factory=dict)
    rounding: dict[str, int] = field(default_factory=dict)


def size(contract: OutputContract, terms: SecureAggregation, fit: bool, evaluate: bool) -> int:
    """How many numbers a hospital adds."""
    count = 0
    if fit:
        count += 1 + sum(spec.size for spec in contract.shapes.values()) + 2 * len(contract.fit_metrics)
    if evaluate:
        cells = {name: _size(spec) for name, spec in contract.evaluate_arrays.items()}
        withheld = sum(cells[name] + 1 for name in terms.tables)
        count += 1 + 2 * len(contract.evaluate_metrics) + sum(cells.values()) + withheld
    return count


def written(
    contract: OutputContract,
    terms: SecureAggregation,
    sent: Arrays,
    fitted: Part | None,
    evaluated: Part | None,
    noisy: bool = False,
    rounding: int = 1,
) -> Ring:
    """A hospital's numbers. noisy: counts may be below 0, for they have noise. rounding: what its policy rounds the
    counts of tables to multiples of.

    Raises InvalidInput, naming no value, for what is beyond the terms' limits.
    """
    parts: list[Whole] = []
    if fitted:
        n = _examples(fitted, terms)
        parts.append(np.array([n], np.int64))
        for name in sorted(contract.parameters):
            came, before = fitted.arrays[name], sent[name]
            with np.errstate(over="ignore", invalid="ignore"):
                change = came.astype(np.float64).ravel() - before.astype(np.float64).ravel()
            parts.append(n * _steps(change, terms.limit, terms.step, f"array {name!r} changed"))
        parts.append(_metrics(fitted, contract.fit_metrics, terms, n))
    if evaluated:
        n = _examples(evaluated, terms)
        parts += [np.array([n], np.int64), _metrics(evaluated, contract.evaluate_metrics, terms, n)]
        for name in sorted(contract.evaluate_arrays):
            parts.append(_array(evaluated.arrays[name], name, terms, noisy, rounding))
    return np.concatenate(parts).view(np.uint64)


def read(
    contract: OutputContract, terms: SecureAggregation, sent: Arrays, total: Ring, fit: bool, evaluate: bool
) -> tuple[Part | None, Part | None]:
    """(training, test) of all hospitals in the sum: examples of all, means by examples, arrays added. A cell of
    `terms.tables` that some hospital withholds is -1 minus what the others tell.

    Raises InvalidInput where the sum cannot be one.
    """
    if len(total) != size(contract, terms, fit, evaluate):
        raise InvalidInput("The sum has another size than the study's.")
    whole, at = total.view(np.int64), 0

    def take(count: int) -> Whole:
        nonlocal at
        at += count
        return whole[at - count : at]

    fitted = evaluated = None
    if fit:
        n = _positive(take(1))
        arrays = {}
        for name, spec in sorted(contract.shapes.items()):
            mean = take(spec.size).astype(np.float64) / n * terms.step
            arrays[name] = _moved(sent[name], mean)
        fitted = Part(n, _means(take(2 * len(contract.fit_metrics)), contract.fit_metrics, terms), arrays)
    if evaluate:
        n = _positive(take(1))
        metrics = _means(take(2 * len(contract.evaluate_metrics)), contract.evaluate_metrics, terms)
        arrays, rounding = {}, {}
        for name, told in sorted(contract.evaluate_arrays.items()):
            found: NDArray[Any] = take(_size(told))
            if name in terms.tables:
                found = np.where(take(_size(told)) > 0, -1 - found, found)
                rounding[name] = int(take(1)[0])
            elif np.dtype(told.dtype).kind == "f":
                found = found.astype(np.float64) * terms.value_step
            arrays[name] = found.astype(told.dtype).reshape(told.shape)
        evaluated = Part(n, metrics, arrays, rounding)
    return fitted, evaluated


def _examples(part: Part, terms: SecureAggregation) -> int:
    if not 1 <= part.examples <= terms.most_examples:
        raise InvalidInput(f"There are more examples than the {terms.most_examples:,} that the study declares.")
    return part.examples


def _steps(values: NDArray[np.float64], limit: float, step: float, what: str) -> Whole:
    if not float(np.abs(values).max(initial=0.0)) <= limit:
        raise InvalidInput(f"{what} by more than {limit:g}, the most that the secure sum counts.")
    return np.rint(values / step).astype(np.int64)


def _metrics(part: Part, names: tuple[str, ...], terms: SecureAggregation, n: int) -> Whole:
    found = np.zeros(2 * len(names), np.int64)
    for index, name in enumerate(sorted(names)):
        if name in part.metrics:
            value = np.array([part.metrics[name]])
            told = _steps(value, terms.metric_limit, terms.metric_step, f"metric {name!r} differs from 0")
            found[2 * index : 2 * index + 2] = n * told[0], n
    return found


def _means(whole: Whole, names: tuple[str, ...], terms: SecureAggregation) -> dict[str, float]:
    pairs = zip(sorted(names), whole[::2].tolist(), whole[1::2].tolist(), strict=True)
    return {name: value / n * terms.metric_step for name, value, n in pairs if n > 0}


def _array(array: NDArray[Any], name: str, terms: SecureAggregation, noisy: bool, rounding: int) -> Whole:
    if array.dtype.kind == "f":
        values = array.astype(np.float64).ravel()
        if not float(np.abs(values).max(initial=0.0)) <= terms.value_limit:
            raise InvalidInput(f"The array {name!r} has numbers above {terms.value_limit:g}.")
        return np.rint(values / terms.value_step).astype(np.int64)
    if array.dtype.kind not in "iub" or (array.size and int(np.abs(array.astype(np.int64)).max()) > MOST_COUNT):
        raise InvalidInput(f"The array {name!r} does not hold counts, and nothing else can be added up.")
    counts: Whole = array.astype(np.int64).ravel()
    hidden = counts < 0
    if name not in terms.tables:
        if hidden.any() and not noisy:
            raise InvalidInput(f"The array {name!r} has cells that are withheld, and cannot be added up.")
        return counts
    return np.concatenate([np.where(hidden, 0, counts), hidden.astype(np.int64), [rounding if rounding > 1 else 0]])


def _size(spec: ArraySpec) -> int:
    return math.prod(spec.shape)


def _positive(whole: Whole) -> int:
    if (n := int(whole[0])) < 1:
        raise InvalidInput("The sum is not one of examples.")
    return n


def _moved(before: NDArray[Any], change: NDArray[np.float64]) -> NDArray[Any]:
    after = before.astype(np.float64).ravel() + change
    if before.dtype.kind == "f":
        most = float(np.finfo(before.dtype).max)
        return np.asarray(np.clip(after, -most, most).astype(before.dtype).reshape(before.shape))
    after = np.rint(after)
    return np.asarray((after > 0.5 if before.dtype == np.bool_ else after).astype(before.dtype).reshape(before.shape))
