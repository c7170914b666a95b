"""What a plan would cost, before anything is asked of a hospital."""

from __future__ import annotations

import html
from dataclasses import dataclass

from policies.errors import InvalidInput
from policies.privacy.accounting import epsilon as epsilon_of
from policies.privacy.cache import NumberCache
from policies.privacy.calibration import noise_for, with_noise
from policies.privacy.events import Event, Unit
from policies.privacy.plan import Plan
from policies.privacy.presets import in_percent
from policies.privacy.renyi import admission_epsilon


@dataclass(frozen=True)
class WhatIf:
    """epsilon: of the plan alone. charged: what the filter counts it as, towards the limits of a researcher or a table.
    together: the epsilon of the plan and of all that was spent before; None if nothing was."""

    rounds: int
    steps: int
    sampling_rate: float
    noise_multiplier: float
    unit: Unit
    delta: float
    epsilon: float
    charged: float
    together: float | None

    def __str__(self) -> str:
        after = f" With what was spent before: epsilon {self.together:.4g}." if self.together is not None else ""
        noise, sure = self.noise_multiplier, in_percent(self.together or self.epsilon)
        return (
            f"{self.rounds:,} rounds of {self.steps:,} steps at sampling rate {self.sampling_rate:g} and "
            f"noise multiplier {noise:g} cost epsilon {self.epsilon:.4g} at delta {self.delta:g}, by {self.unit}. "
            f"Towards limits over several studies they count as {self.charged:.4g}.{after} "
            f"From even odds, one can become at most {sure} sure that a patient is in the table."
        )

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(str(self))}</p>"


def what_if(
    rounds: int,
    steps: int,
    sampling_rate: float,
    delta: float,
    *,
    noise_multiplier: float | None = None,
    epsilon: float | None = None,
    unit: Unit = "patient",
    spent: tuple[Event, ...] = (),
    cache: NumberCache | None = None,
) -> WhatIf:
    """Give `noise_multiplier`, and get the epsilon; or a target `epsilon`, and get the noise. Raises InvalidInput."""
    if (noise_multiplier is None) == (epsilon is None):
        raise InvalidInput("Give either a noise multiplier or a target epsilon.")
    plan = Plan.training(rounds, steps, sampling_rate, noise_multiplier or 1.0, unit)
    if epsilon is not None:
        plan = with_noise(plan, noise_for(epsilon, delta, plan, cache))
    elif noise_multiplier == 0:
        raise InvalidInput("Without noise there is no privacy.", "Give a noise multiplier above 0.")
    events = plan.events
    return WhatIf(
        rounds,
        steps,
        sampling_rate,
        events[0].noise_multiplier,
        unit,
        delta,
        epsilon_of(events, delta),
        admission_epsilon(events, delta),
        epsilon_of((*spent, *events), delta) if spent else None,
    )
