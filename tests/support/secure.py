"""Hospitals and their researcher in one secure sum, step by step, with all that passes between them written down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from datasites.secagg.participant import Participant, Unmasking
from datasites.wire.identity import Identity
from datasites.wire.secagg.masks import Ring
from datasites.wire.secagg.terms import SecureAggregation
from researcher.secagg.collector import Collector

STUDY = "a" * 64
STEPS = ("keys", "shares", "numbers", "agree", "unmask")


def identities(folder: Path, count: int) -> dict[str, Identity]:
    names = [f"do@h{i:02d}.org" for i in range(count)]
    return {name: Identity.create(name, folder / f"{name}.json") for name in names}


def terms_of(people: Mapping[str, Identity], **options: float) -> SecureAggregation:
    return SecureAggregation(hospitals={n: who.public.fingerprint for n, who in people.items()}, **options)


@dataclass
class Sum:
    """`gone`: by step, who falls silent before it. `sealed`, `masked` and `told` are what the store holds of it."""

    people: Mapping[str, Identity]
    terms: SecureAggregation
    first: int = 1
    gone: Mapping[str, Iterable[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.collector = Collector(self.terms, STUDY, self.first)
        self.at = {n: Participant(who, self.terms, STUDY, self.first) for n, who in self.people.items()}
        self.sealed: dict[str, dict[str, bytes]] = {}
        self.masked: dict[str, Ring] = {}
        self.told: dict[str, Unmasking] = {}

    def _there(self, step: str) -> list[str]:
        silent = {name for one in STEPS[: STEPS.index(step) + 1] for name in self.gone.get(one, ())}
        return [name for name in self.at if name not in silent]

    def keys(self) -> None:
        for name in self._there("keys"):
            self.collector.add_keys(name, self.at[name].keys())

    def shares(self) -> None:
        roster = self.collector.roster()
        for name in self._there("shares"):
            self.sealed[name] = self.at[name].shares(roster)
            self.collector.add_shares(name, self.sealed[name])

    def numbers(self, numbers: Mapping[str, Ring]) -> None:
        for name in self._there("numbers"):
            self.at[name].receive(self.collector.shares_for(name))
            self.masked[name] = self.at[name].masked(numbers[name])
            self.collector.add_numbers(name, self.masked[name])

    def agree(self) -> None:
        for name in self._there("agree"):
            self.collector.add_signature(name, self.at[name].agree(self.collector.survivors))

    def unmask(self) -> Ring:
        for name in self._there("unmask"):
            if name in self.collector.signatures:
                self.told[name] = self.at[name].unmask(self.collector.signatures)
                self.collector.add_unmasking(name, self.told[name].of_masks, self.told[name].of_keys)
        return self.collector.total()

    def until(self, step: str, numbers: Mapping[str, Ring]) -> None:
        """All steps before `step`."""
        for one in STEPS[: STEPS.index(step)]:
            getattr(self, one)(numbers) if one == "numbers" else getattr(self, one)()

    def run(self, numbers: Mapping[str, Ring]) -> Ring:
        self.until("unmask", numbers)
        return self.unmask()


def drawn(names: Iterable[str], size: int = 50, seed: int = 0) -> dict[str, Ring]:
    rng = np.random.default_rng(seed)
    return {name: rng.integers(0, 2**64, size, dtype=np.uint64) for name in names}


def added(numbers: Mapping[str, Ring], names: Iterable[str]) -> Ring:
    return np.sum([numbers[name] for name in names], axis=0, dtype=np.uint64)
