"""What privacy costs, for planning a study: the hospitals' own arithmetic, without a hospital.

from researcher import privacy
privacy.what_if(rounds=20, steps=50, sampling_rate=0.02, delta=1e-5, epsilon=3)
privacy.epsilon(privacy.Plan.training(20, 50, 0.02, 1.1).events, 1e-5)
"""

from __future__ import annotations

from pathlib import Path

from policies.privacy.accounting import epsilon
from policies.privacy.cache import NumberCache
from policies.privacy.calibration import noise_for as _noise_for
from policies.privacy.events import Gaussian, Laplace, SampledGaussian, SharedGaussian, gate_noise
from policies.privacy.plan import Plan
from policies.privacy.presets import PRESETS, delta_for
from policies.privacy.what_if import WhatIf
from policies.privacy.what_if import what_if as _what_if

__all__ = [
    "PRESETS",
    "Gaussian",
    "Laplace",
    "Plan",
    "SampledGaussian",
    "SharedGaussian",
    "WhatIf",
    "delta_for",
    "epsilon",
    "gate_noise",
    "noise_for",
    "what_if",
]
HOME = Path.home() / ".wardround"


def noise_for(target: float, delta: float, plan: Plan, home: Path | None = None) -> float:
    """See `policies.privacy.calibration.noise_for`; what was found is remembered in `home` (`~/.wardround`)."""
    return _noise_for(target, delta, plan, _cache(home))


def what_if(
    rounds: int,
    steps: int,
    sampling_rate: float,
    delta: float,
    *,
    noise_multiplier: float | None = None,
    epsilon: float | None = None,
    home: Path | None = None,
) -> WhatIf:
    """The epsilon of a plan, or the noise that an epsilon needs. Raises InvalidInput."""
    return _what_if(
        rounds, steps, sampling_rate, delta, noise_multiplier=noise_multiplier, epsilon=epsilon, cache=_cache(home)
    )


def _cache(home: Path | None) -> NumberCache:
    return NumberCache((home or HOME) / "noise.json")
