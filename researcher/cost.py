"""What a private study costs each patient of a hospital."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from datasites.wire.shown import paragraph
from policies.privacy.events import Gaussian, SharedGaussian
from policies.privacy.presets import in_percent


@dataclass(frozen=True)
class Cost:
    """What the study costs each patient of a hospital, in all: to be read before it is submitted."""

    epsilon: float
    delta: float
    noise_multiplier: float
    steps: int
    evaluations: int
    released: str = "Counts and means"  # where nothing is trained

    def __str__(self) -> str:
        released = f"{self.steps:,} steps" if self.steps else self.released
        evaluated = f" and {self.evaluations:,} noisy evaluations" if self.evaluations else ""
        return (
            f"{released} at noise multiplier {self.noise_multiplier:g}{evaluated} cost every hospital "
            f"epsilon {self.epsilon:.3g} at delta {self.delta:g}, for each patient with all encounters. From even "
            f"odds, somebody who knows every other patient can become at most {in_percent(self.epsilon)} sure that a "
            "patient is in the table."
        )

    def _repr_html_(self) -> str:
        return paragraph(str(self))


def counts_event(secure: bool | Mapping[str, float], noise: float, count: int = 1) -> Gaussian | SharedGaussian:
    """What so many releases of counts cost, which does not depend on how many hospitals there are."""
    shared = isinstance(secure, Mapping) and secure.get("honest") is not None
    return SharedGaussian(noise, 1, 1, count) if shared else Gaussian(noise, count)
