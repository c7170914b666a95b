"""Which metrics and arrays may leave besides the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from policies.request import STATISTICS
from policies.rules.base import Violation, listed

if TYPE_CHECKING:
    from policies.policy import Policy
    from policies.request import StudyRequest


def check(policy: Policy, request: StudyRequest) -> list[Violation]:
    if policy.release.gate_noise is not None and request.tier != "private":
        return _uncovered(request)
    allowed = policy.release.metrics
    metrics = dict.fromkeys((*request.fit_metrics, *request.evaluate_metrics))
    refused = [_metric(name, allowed) for name in metrics if name not in allowed]
    # what the private tier counts has its noise and its price; that of the same name from study code has neither
    covered = {STATISTICS} if request.tier == "private" else set()
    arrays = [(name, shape) for name, shape in request.evaluate_arrays.items() if name not in covered]
    most = {**policy.release.arrays, **policy.release.tables}
    refused += [found for name, shape in arrays for found in _array(name, shape, most.get(name))]
    return refused + _unwithheld(policy, request)


def _unwithheld(policy: Policy, request: StudyRequest) -> list[Violation]:
    """A cell that is withheld must not be added as a number; whether there is one may tell of a patient."""
    if request.summed is None:
        return []
    named = [name for name in request.evaluate_arrays if name in policy.release.tables and name not in request.summed]
    reason = "holds cells that this hospital may withhold, which the study's sum would take for counts."
    return [
        Violation("outputs", f"The array {name!r} {reason}", "Name it among the tables of its secure_aggregation.")
        for name in named
    ]


def _uncovered(request: StudyRequest) -> list[Violation]:
    """Gate noise covers the model, and nothing else may leave beside it."""
    change = "Let fit and evaluate return no metrics: an empty dict. Scores with noise are for the private tier."
    metrics = dict.fromkeys((*request.fit_metrics, *request.evaluate_metrics))
    named = [f"metric {name!r}" for name in metrics] + [f"array {name!r}" for name in request.evaluate_arrays]
    reason = "would leave without the noise that the policy demands."
    return [Violation("outputs", f"The {one} {reason}", change) for one in named]


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
