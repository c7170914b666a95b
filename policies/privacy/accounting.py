"""The epsilon of events, by privacy loss distributions (dp-accounting); rounded up, never below the truth.

Where noise is shared among hospitals, by Renyi divergences: of sums of discrete Gaussians nothing tighter is proven.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from policies.errors import InvalidInput
from policies.privacy.events import Event, Gaussian, SampledGaussian, SharedGaussian, times
from policies.privacy.plan import grouped
from policies.privacy.renyi import admission_epsilon

if TYPE_CHECKING:
    from dp_accounting import DpEvent, PrivacyAccountant

INTERVAL = 1e-4
_FINE, _MANY = 50.0, 32  # up to this epsilon, and so many different mechanisms, INTERVAL is fast enough


def dp_event(event: Event) -> DpEvent:
    """The same in the terms of dp-accounting. Neighbours: add or remove one unit."""
    import dp_accounting as dp  # takes a second to import

    if isinstance(event, SampledGaussian):
        single: Any = dp.PoissonSampledDpEvent(event.sampling_rate, dp.GaussianDpEvent(event.noise_multiplier))
    elif isinstance(event, Gaussian):
        single = dp.GaussianDpEvent(event.noise_multiplier)
    elif isinstance(event, SharedGaussian):
        single = dp.ZCDpEvent(0.5 / event.noise_multiplier**2)
    else:
        single = dp.LaplaceDpEvent(event.noise_multiplier)
    return dp.SelfComposedDpEvent(single, times(event))


def epsilon(events: Iterable[Event], delta: float) -> float:
    """Of all events together, for a patient (see `events` for what a unit protects).

    The losses are discretised in steps of 1e-4, and coarser, which only rounds up further, above an epsilon of 50 or
    32 different mechanisms.
    """
    if not 0 < delta < 1:
        raise InvalidInput(f"A delta of {delta:g} is not between 0 and 1.")
    together = grouped(events)
    return composed(together, interval(together, delta), delta) if together else 0.0


@lru_cache(maxsize=1024)
def composed(events: tuple[Event, ...], step: float, delta: float) -> float:
    """The epsilon of grouped events with losses discretised in steps of `step`."""
    return float(_accountant(events, step).get_epsilon(delta))


@lru_cache(maxsize=8)  # they are large
def _accountant(events: tuple[Event, ...], step: float) -> PrivacyAccountant:
    accountant = accountant_for(events, step)
    for event in events:
        accountant.compose(dp_event(event))
    return accountant


def accountant_for(events: Iterable[Event], step: float) -> PrivacyAccountant:
    """One that can compose these events, and has composed none. step: of discretised losses."""
    if any(isinstance(event, SharedGaussian) for event in events):
        from dp_accounting.rdp import RdpAccountant

        return RdpAccountant()
    from dp_accounting.pld import PLDAccountant

    return PLDAccountant(value_discretization_interval=step)


def interval(events: tuple[Event, ...], delta: float) -> float:
    """The discretisation that `epsilon` uses for these grouped events."""
    coarser = max(1.0, admission_epsilon(events, delta) / _FINE)
    return INTERVAL * coarser * (10 if len(events) > _MANY else 1)
