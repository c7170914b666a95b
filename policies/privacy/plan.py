"""What a study means to release, fixed before its first round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from policies.errors import InvalidInput
from policies.privacy.events import Event, SampledGaussian, Unit, gate_noise, once, repeated, times


@dataclass(frozen=True)
class Plan:
    """`rounds` times the events of one round."""

    rounds: int
    per_round: tuple[Event, ...]

    def __post_init__(self) -> None:
        if type(self.rounds) is not int or not 1 <= self.rounds <= 100_000:
            raise InvalidInput(f"{self.rounds!r} is not a number of rounds from 1 to 100,000.")

    @classmethod
    def training(
        cls, rounds: int, steps: int, sampling_rate: float, noise_multiplier: float, unit: Unit = "patient"
    ) -> Plan:
        """DP-SGD with `steps` a round."""
        return cls(rounds, (SampledGaussian(noise_multiplier, sampling_rate, steps, unit),))

    @classmethod
    def gate_noise(cls, rounds: int, sigma: float) -> Plan:
        """A study of the reviewed tier whose updates get the gate's noise, of `sigma` times the clip."""
        return cls(rounds, (gate_noise(sigma),))

    @property
    def events(self) -> tuple[Event, ...]:
        """Of all rounds, one value for each mechanism."""
        return grouped(repeated(event, times(event) * self.rounds) for event in self.per_round)


def grouped(events: Iterable[Event]) -> tuple[Event, ...]:
    """The same releases with equal mechanisms counted together, in a fixed order."""
    totals: Counter[Event] = Counter()
    for event in events:
        totals[once(event)] += times(event)
    return tuple(repeated(event, total) for event, total in sorted(totals.items(), key=lambda one: repr(one[0])))
