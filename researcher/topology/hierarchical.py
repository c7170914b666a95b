"""Averaging in a tree: hospitals in their region, regions in the nation.

Each region's mean goes up with its weight, the number of examples behind it, so with FedAvg the nation's mean is that
of all hospitals at once. The tiers are computed in the researcher's notebook, which sees every hospital's update.
Where a region's updates must not leave it, a regional aggregator is a participant of its own: see `regional`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from datasites.wire.arrays import Arrays
from policies.errors import InvalidInput
from researcher.errors import RoundFailed
from researcher.history import record_of
from researcher.journal import Checkpoint
from researcher.participation import ApprovedStudy
from researcher.rounds import Observer, Rounds
from researcher.strategies import Aggregation, Strategy, Update
from researcher.strategies.fedavg import WeightedMean
from researcher.strategies.layout import Layout
from researcher.topology.names import all_named, named, no_controls, once


class Tiers:
    """Regions by name, each with its hospitals' names and the number of answers without which it sits a round out."""

    def __init__(self, regions: Mapping[str, Iterable[str]], quorum: int | Mapping[str, int] | None = None) -> None:
        self.regions = {name: list(hospitals) for name, hospitals in regions.items()}
        if not self.regions or not all(self.regions.values()):
            raise InvalidInput("Every region needs at least one hospital.", "Give regions={'north': ['a', 'b'], ...}.")
        once((hospital for hospitals in self.regions.values() for hospital in hospitals), "in the regions")
        given = quorum if isinstance(quorum, Mapping) else {}
        if unknown := given.keys() - self.regions.keys():
            raise InvalidInput(f"There is a quorum for {', '.join(sorted(unknown))}, which is no region.")
        self.quorums = {}
        for name, hospitals in self.regions.items():
            least = quorum if isinstance(quorum, int) else given.get(name, min(2, len(hospitals)))
            if not 1 <= least <= len(hospitals):
                raise InvalidInput(f"A quorum of {least} cannot be had in {name}, with {len(hospitals)} hospitals.")
            self.quorums[name] = least

    @property
    def names(self) -> set[str]:
        """Of all hospitals."""
        return {hospital for hospitals in self.regions.values() for hospital in hospitals}

    def short(self, there: Collection[str]) -> dict[str, int]:
        """Regions with fewer of their hospitals among `there` than their quorum, and how many these are."""
        found = {name: sum(hospital in there for hospital in hospitals) for name, hospitals in self.regions.items()}
        return {name: count for name, count in found.items() if count < self.quorums[name]}


class TieredAggregation:
    """One round: a running mean in each region, and at the end the nation's strategy over the regions' means.

    names: what each hospital is called in the tiers. Means go up in float64.
    """

    def __init__(
        self, tiers: Tiers, names: Mapping[str, str], strategy: Strategy, current: Arrays, memory: Arrays
    ) -> None:
        self._tiers, self._strategy = tiers, strategy
        self._current, self._memory, self._layout = current, memory, Layout(current)
        self._names = names
        self._region = {hospital: name for name, hospitals in tiers.regions.items() for hospital in hospitals}
        self._means = {name: WeightedMean(self._layout) for name in tiers.regions}
        self._examples = dict.fromkeys(tiers.regions, 0)
        self._answered: set[str] = set()

    def add(self, update: Update) -> None:
        name = self._names[update.hospital]
        self._means[self._region[name]].add(update)
        self._examples[self._region[name]] += update.num_examples
        self._answered.add(name)

    def result(self) -> tuple[Arrays, Arrays]:
        national, short = self._strategy.begin(self._current, self._memory), self._tiers.short(self._answered)
        for name in sorted(self._means.keys() - short.keys()):
            mean = self._layout.parts(self._means[name].mean())
            national.add(Update(name, mean, self._examples[name]))
        return national.result()


class Hierarchical(Rounds):
    """Runs a study's rounds as `Rounds` does, averaged in regions and then over them.

    regions: the hospitals of each, by short name or address. strategy: the nation's, FedAvg when left out; weights and
    robust strategies are over regions. quorum: a region with fewer usable answers sits the round out, which its
    hospitals' records say (default: 2, or 1 in a region of one; one number for all, or by region); it is not even asked
    where fewer are there. min_regions: a round with fewer regions fails (default: 2, or 1 where there is one).
    """

    def __init__(
        self,
        submission: ApprovedStudy,
        regions: Mapping[str, Iterable[str]],
        strategy: Strategy | None = None,
        quorum: int | Mapping[str, int] | None = None,
        min_regions: int | None = None,
        deadline: float = 600,
        evaluate: bool = True,
        observer: Observer | None = None,
    ) -> None:
        no_controls(submission.manifest)
        super().__init__(submission, strategy, None, deadline, evaluate, observer=observer)
        self._tiers = Tiers(regions, quorum)
        several = min_regions if min_regions is not None else min(2, len(self._tiers.regions))
        self._min_regions = max(several, self.strategy.min_updates)
        if several < 1 or self._min_regions > len(self._tiers.regions):
            raise InvalidInput(
                f"There are {len(self._tiers.regions)} regions; a round would need {self._min_regions}.",
                f"min_regions must be at least 1, and {self.strategy.name} needs {self.strategy.min_updates}.",
            )
        self._identity = {**self._identity, "name": f"Hierarchical {self._identity['name']}"}

    def _facts(self) -> dict[str, object]:
        regions = {name: ", ".join(hospitals) for name, hospitals in self._tiers.regions.items()}
        return {**super()._facts(), **{f"region {name}": hospitals for name, hospitals in regions.items()}}

    def _gather(self, fit: bool) -> None:
        super()._gather(fit)
        all_named(self.submission, self._members.present, self._tiers.names, "in a region")

    def _min(self, fit: bool) -> int:
        return 1  # the tiers have quorums of their own

    def _names(self, hospitals: Iterable[str]) -> dict[str, str]:
        return named(self.submission, hospitals, self._tiers.names)

    def _asked(self, checkpoint: Checkpoint, number: int, fit: bool) -> list[str]:
        names = self._names(self._members.present)
        if not fit:
            return sorted(names)
        short = self._tiers.short(set(names.values()))
        if len(self._tiers.regions) - len(short) < self._min_regions:
            why = self._lacking(short)
            raise RoundFailed(f"Too few regions are left for a round: {why}.", "The state is kept; run() goes on.")
        self._unasked = {
            hospital: f"Not asked: of its region only {short[region]} of {self._tiers.quorums[region]} take part."
            for hospital, name in names.items()
            if (region := self._region(name)) in short
        }
        return sorted(names.keys() - self._unasked.keys())

    def _begin(self, checkpoint: Checkpoint, asked: list[str]) -> Aggregation:
        names = self._names(asked)
        return TieredAggregation(self._tiers, names, self.strategy, checkpoint.parameters, checkpoint.memory)

    def _shortage(self, usable: list[str], fit: bool) -> str:
        if not fit:
            return super()._shortage(usable, fit)
        short = self._short = self._tiers.short(set(self._names(usable).values()))
        having = len(self._tiers.regions) - len(short)
        if having >= self._min_regions:
            return ""
        return f"{having} regions with their quorum, of {self._min_regions} that it needs ({self._lacking(short)})"

    def _noted(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """An update that was not used stays in its hospital's record: it was made, and the round counts there."""
        noted = []
        for record in records:
            region = self._region(self._names([record["hospital"]])[record["hospital"]])
            why = f"Its region sat the round out: {self._lacking({region: self._short.get(region, 0)})}."
            noted.append({**record, "problem": record["problem"] or (why if region in self._short else "")})
        for hospital, why in self._unasked.items():
            about = record_of(hospital, None, records[0]["message"], records[0]["evaluated_round"], True, why)
            noted.append({**about, "asked": False})
        return noted

    def _region(self, name: str) -> str:
        return next(region for region, hospitals in self._tiers.regions.items() if name in hospitals)

    def _lacking(self, short: Mapping[str, int]) -> str:
        return "; ".join(f"{name} had {count} of {self._tiers.quorums[name]}" for name, count in short.items())
