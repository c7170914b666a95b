"""What was, or is to be, released with noise: one frozen value a kind of release. What a value means never changes; a
new kind of release is a new type.

All noise is stated relative to sensitivity: `noise_multiplier` is the standard deviation of the noise (for Laplace, its
scale) divided by the most that one *unit* can change what the noise is added to, in L2 (for Laplace, L1) norm.

| unit | neighbouring tables differ in |
|---|---|
| patient | all rows of one patient, there or not |
| record | one row, there or not; protects a patient only in a table of one row a person |
| hospital | everything: the hospital's whole table is replaced by any other |

Any two neighbours by patient are neighbours by hospital too, so an event of unit hospital protects a patient at least
as well, and counts for a patient with the same noise multiplier.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal, get_args

from policies.errors import InvalidInput

Unit = Literal["patient", "record", "hospital"]
UNITS: tuple[str, ...] = get_args(Unit)
LEAST_NOISE, MOST_NOISE = 0.05, 1e6
MOST_STEPS = 10_000_000


@dataclass(frozen=True)
class SampledGaussian:
    """`steps` sums with Gaussian noise, each over a Poisson sample of the units: each unit is in it with probability
    `sampling_rate`, independently. DP-SGD: noise_multiplier is the noise over the clipping norm.
    """

    kind: ClassVar[str] = "sampled_gaussian"
    noise_multiplier: float
    sampling_rate: float
    steps: int
    unit: Unit = "patient"

    def __post_init__(self) -> None:
        _check(self.noise_multiplier, self.steps, self.unit)
        if not (math.isfinite(self.sampling_rate) and 0 < self.sampling_rate <= 1):
            raise InvalidInput(f"A sampling rate of {self.sampling_rate:g} is not above 0 and at most 1.")


@dataclass(frozen=True)
class Gaussian:
    """`count` sums over all units, each with Gaussian noise."""

    kind: ClassVar[str] = "gaussian"
    noise_multiplier: float
    count: int = 1
    unit: Unit = "patient"

    def __post_init__(self) -> None:
        _check(self.noise_multiplier, self.count, self.unit)


@dataclass(frozen=True)
class Laplace:
    """`count` sums over all units, each with Laplace noise; its scale over the L1 sensitivity is `noise_multiplier`."""

    kind: ClassVar[str] = "laplace"
    noise_multiplier: float
    count: int = 1
    unit: Unit = "patient"

    def __post_init__(self) -> None:
        _check(self.noise_multiplier, self.count, self.unit)


@dataclass(frozen=True)
class SharedGaussian:
    """`count` sums over the patients of several hospitals, of which nobody sees more than the sum, each with noise that
    the hospitals add together: as much as is said here if at least `honest` of the `hospitals` add theirs and tell
    nobody of it (see `sharing`). It is accounted for as zero-concentrated differential privacy of rho
    1 / (2 noise_multiplier^2): that is what is known of sums of discrete Gaussians.
    """

    kind: ClassVar[str] = "shared_gaussian"
    noise_multiplier: float
    honest: int
    hospitals: int
    count: int = 1
    unit: Unit = "patient"

    def __post_init__(self) -> None:
        _check(self.noise_multiplier, self.count, self.unit)
        numbers = (self.honest, self.hospitals)
        if any(type(one) is not int for one in numbers) or not 1 <= self.honest <= self.hospitals:
            raise InvalidInput(f"{self.honest!r} of {self.hospitals!r} hospitals cannot be the honest ones.")

    @property
    def trust(self) -> str:
        """What the claim rests on, in words."""
        return f"distributed: at least {self.honest} honest of {self.hospitals}"


Event = SampledGaussian | Gaussian | Laplace | SharedGaussian
_WORDS = {
    "sampled_gaussian": "training steps",
    "gaussian": "Gaussian releases",
    "laplace": "Laplace releases",
    "shared_gaussian": "sums over hospitals with shared noise",
}
_REAL = ("noise_multiplier", "sampling_rate")  # 1 and 1.0 are one number, and are written alike
_TYPES: dict[str, type[Event]] = {one.kind: one for one in (SampledGaussian, Gaussian, Laplace, SharedGaussian)}


def gate_noise(sigma: float) -> Gaussian:
    """One round of the reviewed tier: an update clipped to L2 norm C, with Gaussian noise of standard deviation
    `sigma` * C on each number. Two tables of the hospital may give opposite updates, 2C apart, hence half of sigma."""
    return Gaussian(sigma / 2, 1, "hospital")


def told(event: Event) -> str:
    """In words, for the owner."""
    rate = (
        f", each of {100 * event.sampling_rate:g}% of the {event.unit}s" if isinstance(event, SampledGaussian) else ""
    )
    trust = f"; {event.trust}" if isinstance(event, SharedGaussian) else ""
    return f"{times(event):,} {_WORDS[event.kind]}{rate}, noise {event.noise_multiplier:g}, by {event.unit}{trust}"


def times(event: Event) -> int:
    """How often the release it describes happens."""
    return event.steps if isinstance(event, SampledGaussian) else event.count


@lru_cache(maxsize=16_384)
def once(event: Event) -> Event:
    """The same, happening once."""
    return repeated(event, 1)


def repeated(event: Event, count: int) -> Event:
    """The same, happening `count` times in all."""
    if times(event) == count:
        return event
    if isinstance(event, SampledGaussian):
        return dataclasses.replace(event, steps=count)
    return dataclasses.replace(event, count=count)


def to_json(event: Event) -> dict[str, Any]:
    """What is stored and sent."""
    fields = dataclasses.asdict(event)
    return {"event": event.kind, **{name: float(value) if name in _REAL else value for name, value in fields.items()}}


def from_json(content: Mapping[str, Any]) -> Event:
    """Raises InvalidInput for what is no event."""
    fields = dict(content)
    kind = _TYPES.get(str(fields.pop("event", "")))
    if kind is None or {field.name for field in dataclasses.fields(kind)} != fields.keys():
        raise InvalidInput("This is no privacy event that this version knows.")
    try:
        return kind(**fields)
    except TypeError:
        raise InvalidInput("A privacy event's numbers are of the wrong type.") from None


def _check(noise: float, count: int, unit: str) -> None:
    if isinstance(noise, bool) or not (math.isfinite(noise) and LEAST_NOISE <= noise <= MOST_NOISE):
        raise InvalidInput(
            f"A noise multiplier of {noise:g} is not from {LEAST_NOISE:g} to {MOST_NOISE:g}.",
            "Below that it protects nobody.",
        )
    if type(count) is not int or not 1 <= count <= MOST_STEPS:
        raise InvalidInput(f"{count!r} is not a whole number of steps from 1 to {MOST_STEPS:,}.")
    if unit not in UNITS:
        raise InvalidInput(f"{unit!r} is not a unit of privacy.", f"There are: {', '.join(UNITS)}.")
