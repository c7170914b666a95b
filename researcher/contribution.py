"""What each hospital's update is worth to the model of one round, by a utility that the researcher chooses.

utility: a number of a state, more is better: for instance the AUC on a validation table of the researcher's own, or on
the mock twins. v(S) is the utility of the state that the strategy makes of the updates of the hospitals in S; v of
nobody is that of the state before the round.

- leave-one-out: v(N) - v(N without i).
- Shapley value (Shapley, 1953; Ghorbani and Zou, 2019): the sum over S without i of |S|! (n - |S| - 1)! / n! times
  (v(S with i) - v(S)). Exact up to 8 hospitals (256 coalitions); beyond that the mean of i's marginal contribution over
  random orders of the hospitals, with its standard error.

With secure aggregation there are no single updates to judge, and none of this can be had.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from datasites.wire.arrays import Arrays
from policies.errors import InvalidInput
from researcher.strategies import FedAvg, Strategy, Update

Utility = Callable[[Arrays], float]
EXACT = 8


def contributions(
    current: Arrays,
    updates: Sequence[Update],
    utility: Utility,
    strategy: Strategy | None = None,
    orders: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """One row per hospital: `leave_one_out`, `shapley`, and `error`, the standard error of `shapley` (0 if exact).

    current: the state that hospitals trained from. orders: how many random ones, beyond 8 hospitals.
    """
    hospitals = [update.hospital for update in updates]
    if not updates or len(set(hospitals)) < len(hospitals) or orders < 2:
        raise InvalidInput("Contributions need one update of each hospital, and at least two orders.")
    value = _Values(current, updates, utility, strategy or FedAvg())
    everybody = frozenset(range(len(updates)))
    left_out = [value(everybody) - value(everybody - {i}) for i in everybody]
    exact = len(updates) <= EXACT
    shapley, error = _exact(value, len(updates)) if exact else _sampled(value, len(updates), orders, seed)
    return pd.DataFrame({"hospital": hospitals, "leave_one_out": left_out, "shapley": shapley, "error": error})


class _Values:
    """The utility of each coalition, worked out once."""

    def __init__(self, current: Arrays, updates: Sequence[Update], utility: Utility, strategy: Strategy) -> None:
        self._current, self._updates, self._utility, self._strategy = current, updates, utility, strategy
        self._known: dict[frozenset[int], float] = {}

    def __call__(self, coalition: Iterable[int]) -> float:
        members = frozenset(coalition)
        if members not in self._known:
            self._known[members] = self._utility(self._state(members))
        return self._known[members]

    def _state(self, members: frozenset[int]) -> Arrays:
        if not members:
            return self._current
        aggregation = self._strategy.begin(self._current, {})
        for index in sorted(members):
            aggregation.add(self._updates[index])
        return aggregation.result()[0]


def _exact(value: _Values, n: int) -> tuple[list[float], list[float]]:
    shapley = []
    for i in range(n):
        others = [j for j in range(n) if j != i]
        shapley.append(
            sum(
                math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n) * (value({*s, i}) - value(s))
                for size in range(n)
                for s in combinations(others, size)
            )
        )
    return shapley, [0.0] * n


def _sampled(value: _Values, n: int, orders: int, seed: int) -> tuple[list[float], list[float]]:
    rng = np.random.default_rng(seed)
    marginal = np.zeros((orders, n))
    for row in marginal:
        order = rng.permutation(n).tolist()
        for place, i in enumerate(order):
            row[i] = value(order[: place + 1]) - value(order[:place])
    return marginal.mean(axis=0).tolist(), (marginal.std(axis=0, ddof=1) / math.sqrt(orders)).tolist()
