"""The least noise with which a plan stays within an epsilon, by dp-accounting's calibration over loss distributions."""

from __future__ import annotations

import dataclasses
import math

from policies.errors import InvalidInput
from policies.privacy.accounting import accountant_for, composed, dp_event, epsilon, interval
from policies.privacy.cache import NumberCache
from policies.privacy.events import LEAST_NOISE, MOST_NOISE, Event, SampledGaussian, to_json
from policies.privacy.plan import Plan
from policies.privacy.renyi import admission_epsilon

_RELATIVE = 1e-3  # the noise is found to within a thousandth, and rounded up


def noise_for(target: float, delta: float, plan: Plan, cache: NumberCache | None = None) -> float:
    """The noise multiplier of the plan's training (of all its events, if none is SampledGaussian), to four significant
    digits, such that the whole plan's `epsilon` at `delta` is at most `target`.

    Takes some seconds; with a cache, a second time only the verification. Raises InvalidInput when no noise is enough.
    """
    if not (math.isfinite(target) and target > 0 and 0 < delta < 1):
        raise InvalidInput("The target epsilon must be above 0, and delta between 0 and 1.")
    question = {"target": target, "delta": delta, "rounds": plan.rounds, "plan": [to_json(e) for e in _keyed(plan)]}
    found = cache.get(question) if cache else None
    if found is None or not _enough(plan, found, target, delta):
        found = _search(target, delta, plan)
        if cache:
            cache.put(question, found)
    return found


def with_noise(plan: Plan, noise: float) -> Plan:
    """The same plan with this noise multiplier in its training (in all its events, if none is SampledGaussian)."""
    trains = any(isinstance(event, SampledGaussian) for event in plan.per_round)
    return dataclasses.replace(
        plan,
        per_round=tuple(
            dataclasses.replace(event, noise_multiplier=noise)
            if isinstance(event, SampledGaussian) or not trains
            else event
            for event in plan.per_round
        ),
    )


def _keyed(plan: Plan) -> tuple[Event, ...]:
    return with_noise(plan, 1.0).per_round


def _enough(plan: Plan, noise: float, target: float, delta: float) -> bool:
    return LEAST_NOISE <= noise <= MOST_NOISE and epsilon(with_noise(plan, noise).events, delta) <= target


def _search(target: float, delta: float, plan: Plan) -> float:
    from dp_accounting import ComposedDpEvent, mechanism_calibration

    high = _admitted(target, delta, plan)
    fine = interval(with_noise(plan, high).events, delta)
    step = max(fine, min(10 * fine, target * _RELATIVE))
    low = high / 2
    while composed(with_noise(plan, low).events, step, delta) <= target:
        if low == LEAST_NOISE:
            return low
        low, high = max(low / 2, LEAST_NOISE), low
    noise: float = mechanism_calibration.calibrate_dp_mechanism(
        lambda: accountant_for(plan.events, step),  # coarse, which only errs towards more noise
        lambda noise: ComposedDpEvent([dp_event(event) for event in with_noise(plan, noise).events]),
        target,
        delta,
        mechanism_calibration.ExplicitBracketInterval(low, high),
        tol=_RELATIVE * high,
    )
    while not _enough(plan, noise := _rounded_up(noise), target, delta):
        noise *= 1 + _RELATIVE
    return noise


def _admitted(target: float, delta: float, plan: Plan) -> float:
    """A noise with which the fast bound already is within the target."""
    noise = 0.5
    while admission_epsilon(with_noise(plan, noise).events, delta) > target:
        noise *= 2
        if noise > MOST_NOISE:
            raise InvalidInput(
                f"No noise keeps this plan within epsilon {target:g} at delta {delta:g}.",
                "Ask for fewer rounds, release less besides the training, or allow a greater epsilon.",
            )
    return noise


def _rounded_up(noise: float) -> float:
    scale = 10.0 ** (3 - math.floor(math.log10(noise)))
    return math.ceil(noise * scale - 1e-9) / scale
