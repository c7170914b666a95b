"""Renyi differential privacy: the curve of an event, and the privacy filter that admits or refuses a release.

Fast (microseconds once a mechanism's curve is known) and never below the truth; `accounting` tells the epsilon exactly.
The filter and its proof: see README.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from policies.privacy.events import Event, Gaussian, SharedGaussian, once, times

Curve = NDArray[np.float64]
ORDERS: Curve = np.array([2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64, 128], dtype=np.float64)
_ROUNDING = 1e-9  # sums of curves are kept as floats


def curve(events: Iterable[Event]) -> Curve:
    """The Renyi divergence of all events together, at each of ORDERS."""
    total = np.zeros_like(ORDERS)
    for event in events:
        total += times(event) * _curve(once(event))
    return total


@lru_cache(maxsize=16_384)
def _curve(event: Event) -> Curve:
    if isinstance(event, Gaussian | SharedGaussian):  # Mironov 2017, Proposition 7; and what zCDP says
        return ORDERS / (2 * event.noise_multiplier**2)
    from dp_accounting.rdp import RdpAccountant

    from policies.privacy.accounting import dp_event

    accountant = RdpAccountant(ORDERS.tolist())
    accountant.compose(dp_event(event))
    found: Curve = accountant.rdp
    return found


@dataclass(frozen=True)
class RenyiFilter:
    """Admits adaptively chosen releases while all that were admitted stay (epsilon, delta)-differentially private.

    Feldman and Zrnic 2021 and Lecuyer 2021 for one order fixed in advance; here over several orders, which share delta:
    half of it belongs to the order that lets most Gaussian noise pass under this limit, the rest to the others equally.
    """

    epsilon: float
    delta: float

    def admits(self, spent: Curve) -> bool:
        """Whether so much in all, the release in question included, is within the limit."""
        return bool(np.any(spent <= self.room * (1 - _ROUNDING)))

    @cached_property
    def room(self) -> Curve:
        """The greatest divergence allowed at each order: Canonne, Kamath and Steinke 2020, Proposition 12."""
        even = np.full(len(ORDERS), 1 / len(ORDERS))
        favourite = int(np.argmax(self._room(even) / ORDERS))
        shares = np.full(len(ORDERS), 0.5 / (len(ORDERS) - 1))
        shares[favourite] = 0.5
        return self._room(shares)

    def _room(self, shares: Curve) -> Curve:
        return self.epsilon - np.log1p(-1 / ORDERS) + np.log(self.delta * shares * ORDERS) / (ORDERS - 1)


def admission_epsilon(events: Iterable[Event], delta: float) -> float:
    """The smallest limit, to within 0.1%, under which the filter admits these events; infinity above 100,000."""
    return least_limit(curve(events), delta)


def least_limit(spent: Curve, delta: float) -> float:
    """The same, of a sum of curves."""
    if not spent.any():
        return 0.0
    low, high = 0.0, 1.0
    while not RenyiFilter(high, delta).admits(spent):
        low, high = high, high * 2
        if high > 100_000:
            return float("inf")
    while high - low > 0.001 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if RenyiFilter(middle, delta).admits(spent) else (middle, high)
    return high
