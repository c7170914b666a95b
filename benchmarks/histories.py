"""Random histories of releases, and what dp-accounting says of them when it is given each by itself."""

from __future__ import annotations

import random

from policies.privacy import Event, Gaussian, Laplace, SampledGaussian


def history(rng: random.Random) -> list[Event]:
    """One to eight releases of up to four mechanisms, in any order."""
    mechanisms = [_mechanism(rng) for _ in range(rng.randint(1, 4))]
    return [rng.choice(mechanisms) for _ in range(rng.randint(1, 8))]


def reference(events: list[Event], delta: float, interval: float) -> float:
    """dp-accounting's own answer: the events are composed one after the other, as they happened."""
    from dp_accounting.pld import PLDAccountant

    accountant = PLDAccountant(value_discretization_interval=interval)
    for event in events:
        accountant.compose(_in_its_terms(event))
    return float(accountant.get_epsilon(delta))


def _mechanism(rng: random.Random) -> Event:
    kind, noise = rng.random(), rng.uniform(8, 80)
    if kind < 0.5:
        return SampledGaussian(noise, rng.choice([0.01, 0.05, 0.2]), rng.randint(1, 200))
    return Gaussian(noise, rng.randint(1, 3)) if kind < 0.8 else Laplace(noise, rng.randint(1, 3))


def _in_its_terms(event: Event) -> object:
    from dp_accounting import GaussianDpEvent, LaplaceDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent

    noise = event.noise_multiplier
    if isinstance(event, SampledGaussian):
        return SelfComposedDpEvent(PoissonSampledDpEvent(event.sampling_rate, GaussianDpEvent(noise)), event.steps)
    single = GaussianDpEvent(noise) if isinstance(event, Gaussian) else LaplaceDpEvent(noise)
    return SelfComposedDpEvent(single, event.count)
