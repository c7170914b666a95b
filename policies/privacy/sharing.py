"""Noise that hospitals add together: how much each one adds, so that their sum carries what the ledger says.

The distributed discrete Gaussian mechanism (Kairouz, Liu and Steinke 2021). Each hospital adds a discrete Gaussian to
its whole numbers; nobody sees more than a sum over hospitals, which these agree on and which has at least `least` of
them. Of the noise in it, that of hospitals that help the researcher counts for nothing. So each adds the variance
sigma^2 over the fewest honest hospitals that a sum can have, whoever vanished.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from policies.errors import InvalidInput
from policies.privacy.events import Gaussian, SharedGaussian

_NARROWEST, _WIDEST = 2.0**-20, 2.0**-4  # by how much a hospital's noise is wider, relatively
_LEAST_DEVIATION = 0.5  # of one hospital's noise: the theorem asks for it


@dataclass(frozen=True)
class Sharing:
    """The trust assumption: `honest` of `hospitals` at least add their noise, and tell nobody of it. least: how many
    hospitals are in a sum, whoever vanishes."""

    hospitals: int
    least: int
    honest: int

    def __post_init__(self) -> None:
        if not self.least_honest <= self.honest <= self.hospitals:
            raise InvalidInput(
                f"Noise can be shared where {self.least_honest} to {self.hospitals} of {self.hospitals} hospitals are "
                f"honest, not {self.honest}: fewer could not keep their sum together."
            )

    @property
    def least_honest(self) -> int:
        """With fewer, a researcher who cheats has two lists of survivors signed in one sum, and reads less than it."""
        return 2 * (self.hospitals - self.least) + 1

    @property
    def shares(self) -> int:
        """The fewest honest hospitals in a sum: all that may vanish are honest, and all others are in it."""
        return self.least - (self.hospitals - self.honest)

    def event(self, alone: Gaussian) -> SharedGaussian:
        """The ledger's, of what would be `alone` if each hospital added the whole noise."""
        return SharedGaussian(alone.noise_multiplier, self.honest, self.hospitals, alone.count, alone.unit)

    def deviation(self, noise_multiplier: float, sensitivity: float, width: int) -> float:
        """Of the noise that one hospital adds to each of `width` whole numbers, of which a patient moves at most
        `sensitivity` in L2.

        A sum of discrete Gaussians is not quite one: Proposition 14 of the paper bounds its Renyi divergences by those
        of a Gaussian whose inverse noise multiplier is greater by tau times the root of the width. The noise is wider
        by as much. Raises InvalidInput where that is too much, for so little noise.
        """
        wider = _NARROWEST
        while wider <= _WIDEST:
            own = noise_multiplier * (1 + wider) * sensitivity / math.sqrt(self.shares)
            spare = (1 - 1 / (1 + wider)) / noise_multiplier
            if own >= _LEAST_DEVIATION and _tau(own, self.hospitals) * math.sqrt(width) <= spare:
                return own
            wider *= 2
        raise InvalidInput(
            f"A noise multiplier of {noise_multiplier:g} is too little to be shared over {self.shares} hospitals.",
            "Ask for more noise, or let each hospital add its own.",
        )


def _tau(deviation: float, terms: int) -> float:
    """How far a sum of so many discrete Gaussians is from one: Kairouz, Liu and Steinke 2021, Theorem 1."""
    steps = (math.exp(-2 * math.pi**2 * deviation**2 * k / (k + 1)) for k in range(1, terms))
    return 10 * math.fsum(steps)
