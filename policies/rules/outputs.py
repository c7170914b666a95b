"""Which metrics and arrays may leave besides the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from policies.rules.base import Violation, listed

if TYPE_CHECKING:
    from policies.policy import Policy
    from policies.request import StudyRequest


def check(policy: Policy, request: StudyRequest) -> list[Violation]:
    allowed = policy.release.metrics
    metrics = dict.fromkeys((*request.fit_metrics, *request.evaluate_metrics))
    refused = [_metric(name, allowed) for name in metrics if name not in allowed]
    arrays = request.evaluate_arrays.items()
    return refused + [found for name, shape in arrays for found in _array(name, shape, policy.release.arrays.get(name))]


def _metric(name: str, allowed: Sequence[str]) -> Violation:
    reason = f"The metric {name!r} is not among those that may leave."
    return Violation("outputs", reason, f"Leave it out, or report one of: {listed(allowed)}.")


def _array(name: str, shape: tuple[int, ...], most: tuple[int, ...] | None) -> list[Violation]:
    if most is None:
        return [Violation("outputs", f"The array {name!r} is not among those that may leave.", "Leave it out.")]
    if len(shape) == len(most) and all(one <= other for one, other in zip(shape, most, strict=True)):
        return []
    reason = f"The array {name!r} has the shape {_shape(shape)}."
    return [Violation("outputs", reason, f"Make it at most {_shape(most)}.")]


def _shape(shape: tuple[int, ...]) -> str:
    return " by ".join(f"{length:,}" for length in shape) or "a single number"
