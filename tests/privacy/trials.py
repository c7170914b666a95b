"""Every attack once: on the hospital's own training as it is, and on each way of breaking it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.privacy import agents, canaries, counts, hidden, inversion, marginals, membership, replay, worlds
from tests.privacy.gate import behind_gate
from tests.privacy.variants import COUNTS, EVALUATION, EVERYBODY, GATE, MARGINALS, PLAIN, TRAINING

NOISES = (8.0, 2.7, 1.0)
_ONE_RUN, _WORLDS, _MEMBERS, _INVERSION = "canaries", "with and without", "membership", "gradient inversion"
NOISE = 8.0  # of the training that variants break


@dataclass(frozen=True)
class Trial:
    """`good`: what should be hidden was hidden, or what is broken was caught. Where an attack proves no epsilon, both
    epsilons are None."""

    attack: str
    what: str
    broken: bool
    claimed: float | None
    empirical: float | None
    told: str
    good: bool


def trials(tables: int) -> Iterator[Trial]:
    """tables: how many other tables and coins the honest training is attacked with, for the spread."""
    for noise in NOISES:
        yield _one_run(f"noise {noise:g}", canaries.audit(canaries.training(noise)))
    yield _many(tables)
    with tempfile.TemporaryDirectory() as folder, behind_gate(Path(folder)) as hospital:
        yield _one_run("worker and gate", canaries.audit(canaries.training(NOISE), hospital=hospital))
    with tempfile.TemporaryDirectory() as folder, agents.attacked(Path(folder)) as system:
        yield _one_run("an agent that serves", system.audit())
        yield _replayed(system)
    yield _evaluation("evaluation", nullcontext(), broken=False)
    yield _counts("counts and means", nullcontext(), broken=False)
    yield _marginals("marginals", nullcontext(), broken=False)
    yield _gate("gate noise", nullcontext(), broken=False)
    for noise in (30.0, 3.0):
        yield _members(f"noise {noise:g}", noise, nullcontext(), broken=False)
    yield from _inversions()
    yield from _broken()


def _broken() -> Iterator[Trial]:
    for variant in TRAINING:
        with variant.in_place():
            yield _one_run(variant.name, canaries.audit(canaries.training(NOISE)), broken=True)
    with EVERYBODY.in_place():
        yield _one_run(EVERYBODY.name, canaries.audit(canaries.training(2.5, rate=0.05)), broken=True)
    yield _one_run(replay.NAME, replay.fresh(), broken=True)
    for variant in EVALUATION:
        yield _evaluation(variant.name, variant.in_place(), broken=True)
    for variant in COUNTS:
        yield _counts(variant.name, variant.in_place(), broken=True)
    for variant in MARGINALS:
        yield _marginals(variant.name, variant.in_place(), broken=True)
    for variant in GATE:
        yield _gate(variant.name, variant.in_place(), broken=True)
    yield _members(PLAIN.name, 30.0, PLAIN.in_place(), broken=True)
    with TRAINING[0].in_place():
        close = inversion.closeness(inversion.private_update(inversion.record(0), 1.0), inversion.record(0))
    yield Trial(_INVERSION, TRAINING[0].name, True, None, None, f"cosine {close:.3f}", close > 0.99)


def _one_run(what: str, found: canaries.Found, broken: bool = False) -> Trial:
    told = f"{found.correct} of {found.guesses} right"
    return Trial(_ONE_RUN, what, broken, found.claimed, found.empirical, told, found.caught == broken)


def _many(tables: int) -> Trial:
    found = [canaries.audit(canaries.training(NOISE), seed=1000 + number) for number in range(tables)]
    worst = max(found, key=lambda one: one.empirical)
    above = sum(one.caught for one in found)
    told = f"greatest of {tables} tables, {above} above"
    return Trial(_ONE_RUN, f"noise {NOISE:g}", False, worst.claimed, worst.empirical, told, above <= 0.05 * tables)


def _replayed(system: agents.Attacked) -> Trial:
    """The last round, asked for three more times."""
    first, charged = system.answer(agents.ROUNDS), system.charged()
    again = [system.ask_again(agents.ROUNDS) for _ in range(3)]
    same = all(np.array_equal(one["weight"], first["weight"]) for one in again)
    good = same and system.charged() == charged
    told = "same answer, charged once" if good else "ANOTHER ANSWER, OR CHARGED AGAIN"
    return Trial("replay", "an agent that serves", False, None, None, told, good)


def _evaluation(what: str, state: AbstractContextManager[None], broken: bool) -> Trial:
    with state:
        claimed, empirical = worlds.audit(worlds.evaluation())
    told = f"{2 * worlds.RUNS} runs of each"
    return Trial(_WORLDS, what, broken, claimed, empirical, told, (empirical > claimed) == broken)


def _counts(what: str, state: AbstractContextManager[None], broken: bool) -> Trial:
    with state:
        claimed, empirical = counts.audit()
    told = f"{2 * counts.RUNS} answers of each"
    return Trial(_WORLDS, what, broken, claimed, empirical, told, (empirical > claimed) == broken)


def _marginals(what: str, state: AbstractContextManager[None], broken: bool) -> Trial:
    with state:
        claimed, empirical = marginals.audit()
    told = f"{2 * marginals.RUNS} answers of each"
    return Trial(_WORLDS, what, broken, claimed, empirical, told, (empirical > claimed) == broken)


def _gate(what: str, state: AbstractContextManager[None], broken: bool) -> Trial:
    with state:
        claimed, empirical = hidden.audit()
    told = f"{hidden.RUNS} rounds of each of two tables"
    return Trial("opposite updates", what, broken, claimed, empirical, told, (empirical > claimed) == broken)


def _members(what: str, noise: float, state: AbstractContextManager[None], broken: bool) -> Trial:
    with state:
        found = membership.attack(membership.training(noise))
    told = f"AUC {found.auc:.3f}, {100 * found.at_low:.1f}% found at 1% false"
    good = (found.empirical > found.claimed) == broken
    return Trial(_MEMBERS, what, broken, found.claimed, found.empirical, told, good)


def _inversions() -> Iterator[Trial]:
    """Without noise the record comes back; that control is broken in no way, it is the reviewed tier's raw update."""
    x, blind = inversion.record(0), inversion.chance()
    error = float(np.abs(inversion.exact(inversion.raw_update(x)) - x).max())
    yield Trial(_INVERSION, "a raw update (control)", False, None, None, f"record to within {error:.0e}", error < 1e-4)
    records = [inversion.record(seed) for seed in range(inversion.TRIALS)]
    guesses = {
        f"private tier, noise {noise:g}": [
            inversion.closeness(inversion.private_update(one, noise), one) for one in records
        ]
        for noise in (1.0, 8.0)
    }
    guesses["gate noise"] = [hidden.closeness(seed) for seed in range(inversion.TRIALS)]
    for what, close in guesses.items():
        good = abs(np.mean(close) - blind.mean()) < 4 * blind.std() / np.sqrt(inversion.TRIALS)
        told = f"cosine {np.mean(close):.3f}, by chance {blind.mean():.3f}"
        yield Trial(_INVERSION, what, False, None, None, told, bool(good))
