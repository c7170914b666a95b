"""How arrays and metrics may differ from an output contract. Both sides ask: the hospital before it releases anything,
the researcher before it lets a hospital's answer into the model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from datasites.wire.arrays import Arrays, all_finite
from datasites.wire.outputs import ArraySpec


def describe_arrays(arrays: Arrays) -> dict[str, ArraySpec]:
    return {name: ArraySpec(shape=array.shape, dtype=array.dtype.name) for name, array in sorted(arrays.items())}


def array_problems(arrays: Arrays, specs: Mapping[str, ArraySpec]) -> list[str]:
    """Every difference, and every array that is not finite, naming arrays and shapes, never values."""
    return differences(arrays, specs) + not_finite(arrays)


def differences(arrays: Arrays, specs: Mapping[str, ArraySpec]) -> list[str]:
    """Every difference of names, shapes and dtypes."""
    problems = [f"array {name!r} is missing" for name in sorted(specs.keys() - arrays.keys())]
    problems += [f"array {name!r} is not in the contract" for name in sorted(arrays.keys() - specs.keys())]
    for name in sorted(specs.keys() & arrays.keys()):
        array, spec = arrays[name], specs[name]
        if array.shape != spec.shape or array.dtype.name != spec.dtype:
            problems.append(f"array {name!r} is {array.dtype.name}{array.shape}, not {spec.dtype}{spec.shape}")
    return problems


def not_finite(arrays: Arrays) -> list[str]:
    """Every array that holds NaN or infinity: either could carry 52 bits of anything where a number is expected."""
    return [f"array {name!r} holds NaN or infinity" for name, array in sorted(arrays.items()) if not all_finite(array)]


def metric_problems(metrics: Mapping[str, float], names: Iterable[str]) -> list[str]:
    """Every metric that may not leave. One that is absent is none: an AUC, say, may be undefined at a hospital."""
    allowed = set(names)
    problems = [f"metric {name!r} is not in the contract" for name in sorted(metrics.keys() - allowed)]
    return problems + [f"metric {name!r} is not finite" for name, value in metrics.items() if not math.isfinite(value)]
