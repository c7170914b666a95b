"""Bagging: the next ensemble is all trees that there were, and all that hospitals have grown in this round.

Breiman (1996), Bagging predictors. Where each hospital grows trees for what the ensemble still gets wrong, it is
federated boosting: the round's trees together are one step of it. The study's side is
`notebooks/readmission/frameworks/trees/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from datasites.wire.arrays import Arrays
from policies.errors import InvalidInput
from researcher.errors import RoundFailed
from researcher.strategies.base import Aggregation, Described, Update

TREES, SHARE = "trees", "share"


@dataclass(frozen=True)
class Bagging(Described):
    """Nothing is averaged. `trees`, a whole number, says how many places of an ensemble are taken; every other array
    has the places as its first axis. A hospital returns the ensemble with its new trees in the first free places.

    `share` of a new tree becomes its hospital's share of the examples of all hospitals that answered, so a round's
    trees together count as one tree from each hospital would on average; trees of earlier rounds stay as they are.
    """

    name: ClassVar[str] = "Bagging"
    min_updates: ClassVar[int] = 1

    def begin(self, current: Arrays, memory: Arrays) -> Aggregation:
        """See `Strategy.begin`."""
        places = current.get(SHARE, np.zeros(())).shape
        count = current.get(TREES, np.zeros(1))
        members = [array for name, array in current.items() if name != TREES]
        if count.shape or count.dtype.kind != "i" or len(places) != 1 or any(a.shape[:1] != places for a in members):
            raise InvalidInput(
                "The study's state is no ensemble.",
                f"Let initialize return a whole number {TREES!r}, and a place for each tree in {SHARE!r} and the rest.",
            )
        return _Growing(current)


class _Growing:
    def __init__(self, current: Arrays) -> None:
        self._current, self._taken = current, int(current[TREES])
        self._grown: dict[str, tuple[Arrays, int]] = {}

    def add(self, update: Update) -> None:
        came, who = update.parameters, update.hospital
        shapes = {name: array.shape for name, array in self._current.items()}
        if {name: array.shape for name, array in came.items()} != shapes or update.num_examples < 1:
            raise InvalidInput(f"The update of {who} does not fit the ensemble.")
        if who in self._grown:
            raise InvalidInput(f"There are two updates of {who} in one round.")
        count = int(came[TREES])
        if not self._taken < count <= len(came[SHARE]):
            raise InvalidInput(f"{who} says that the ensemble has {count} trees; it was sent {self._taken}.")
        members = {name: array for name, array in came.items() if name != TREES}
        if any(not np.array_equal(a[: self._taken], self._current[name][: self._taken]) for name, a in members.items()):
            raise InvalidInput(f"{who} changed trees that were in the ensemble.")
        self._grown[who] = {n: array[self._taken : count] for n, array in members.items()}, update.num_examples

    def result(self) -> tuple[Arrays, Arrays]:
        if not self._grown:
            raise RoundFailed("There is no update to aggregate.")
        ensemble = {name: array.copy() for name, array in self._current.items()}
        examples = sum(number for _, number in self._grown.values())
        start = self._taken
        for hospital in sorted(self._grown):
            trees, number = self._grown[hospital]
            end = start + len(trees[SHARE])
            if end > len(ensemble[SHARE]):
                raise RoundFailed("The ensemble has no place for the new trees.", "Submit the study with more places.")
            for name, array in trees.items():
                ensemble[name][start:end] = array
            ensemble[SHARE][start:end] = number / examples
            start = end
        ensemble[TREES] = np.asarray(start, ensemble[TREES].dtype)
        return ensemble, {}
