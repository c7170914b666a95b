"""What a strategy is. Updates arrive one after another and are dropped after `add`, so that memory does not grow with
the number of hospitals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from datasites.wire.arrays import Arrays


@dataclass(frozen=True)
class Update:
    """A hospital's trained parameters and the number of examples they were trained on. Not to be changed in place."""

    hospital: str
    parameters: Arrays
    num_examples: int


class Aggregation(Protocol):
    """One round's aggregation under way."""

    def add(self, update: Update) -> None:
        """Takes one hospital's update into account."""

    def result(self) -> Arrays:
        """The next global state, with the names, shapes and dtypes of the current one. Raises RoundFailed if empty."""


class Strategy(Protocol):
    """A server strategy; `name` is what plots and reports call it."""

    name: str

    def begin(self, current: Arrays) -> Aggregation:
        """Starts the aggregation of one round; `current` is the state that the hospitals trained from."""
