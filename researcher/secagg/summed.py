"""A study whose hospitals show only their sum: to `Rounds` it is a study with one participant, who answers with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from datasites.wire.manifest import Manifest
from datasites.wire.outputs import OutputContract
from policies.errors import InvalidInput
from researcher.exchange import Exchange
from researcher.journal import Journal
from researcher.secagg.exchange import SUM, SumExchange
from researcher.secagg.post import Post
from researcher.strategies import FedAvg, Strategy
from researcher.strategies.optimizer import ServerOptimizer

if TYPE_CHECKING:
    from researcher.federation import Federation
    from researcher.participation import ApprovedStudy

LABEL = "the sum"
COUNTS, SUMS, PRODUCTS = "statistics_counts", "statistics_sums", "statistics_products"
_ONLY = "This study's hospitals show only their sum, never one hospital's update"


class Submitted(Protocol):
    """What is needed of a `Submission`."""

    manifest: Manifest
    journal: Journal
    federation: Federation

    def participants(self) -> list[str]: ...

    def joined(self) -> list[str]: ...

    def noise(self) -> list[str]: ...

    def label(self, hospital: str) -> str: ...


def of_sums(study: ApprovedStudy, strategy: Strategy, single: Mapping[str, object]) -> ApprovedStudy:
    """The study as rounds are to see it. single: what needs hospitals one by one, by name; None where it is not given.

    Raises InvalidInput for what cannot be had of a sum.
    """
    if study.manifest.secure_aggregation is None:
        return study
    if not isinstance(strategy, FedAvg | ServerOptimizer) or getattr(strategy, "weights", None):
        raise InvalidInput(
            f"{_ONLY}, and {strategy.name} looks at them one by one.",
            "Use FedAvg without weights, FedAvgM, FedAdam, FedYogi or FedAdagrad.",
        )
    if given := [name for name, value in single.items() if value is not None]:
        raise InvalidInput(f"{_ONLY}: leave out {', '.join(given)}.", "The study says how many must take part.")
    return Summed(study)  # type: ignore[arg-type]  # only a submission's manifest has hospitals to add up


def refuse_single(manifest: Manifest) -> None:
    """Raises InvalidInput where updates of single hospitals cannot be had."""
    if manifest.secure_aggregation is not None:
        raise InvalidInput(f"{_ONLY}.", "Run it with Rounds and an average, or submit it without secure_aggregation.")


def arrays_of(contract: OutputContract) -> dict[str, list[str]]:
    """Terms of the ready study of statistics, whose arrays are known: which are tables, and which are sums.

    Raises InvalidInput where it was not asked for sums.
    """
    names = contract.evaluate_arrays.keys()
    if "statistics_moments" in names:
        raise InvalidInput(
            "Means and correlations of single hospitals cannot be added up.",
            "Make the study's config with statistics_config(..., secure_aggregation=True).",
        )
    found = {"tables": sorted(names & {COUNTS}), "sums": sorted(names & {SUMS, PRODUCTS})}
    return {what: arrays for what, arrays in found.items() if arrays}


def added_noise(manifest: Manifest, hospitals: int) -> float:
    """The variance of the noise of counts in a sum of so many hospitals, over that of one hospital which adds all of
    its own. (Where little noise is shared it is a little wider; see `policies.privacy.sharing`.)"""
    sharing = manifest.sharing
    return float(hospitals) if sharing is None else hospitals / sharing.shares


class Summed:
    """See the module."""

    def __init__(self, submission: Submitted) -> None:
        terms = submission.manifest.secure_aggregation
        if terms is None:
            raise ValueError("the study has no secure aggregation")
        self._submission, self._terms = submission, terms
        self.manifest: Manifest = submission.manifest
        self.journal: Journal = submission.journal
        self._approved: set[str] = set()

    def participants(self) -> list[str]:
        """The sum, where enough hospitals have approved."""
        self._approved = set(self._submission.participants())
        return [SUM] if len(self._named()) >= self._terms.threshold else []

    def noise(self) -> list[str]:
        return self._submission.noise()

    def joined(self) -> list[str]:
        return []

    def label(self, hospital: str) -> str:
        return LABEL if hospital == SUM else self._submission.label(hospital)

    def exchange(self) -> Exchange:
        federation = self._submission.federation
        post = Post(self.manifest, federation.identity, federation.peers, federation.store)
        return SumExchange(self.manifest, self._terms, post, self._named, self.label)

    def _named(self) -> list[str]:
        """Hospitals of the terms that have approved, with those that have meanwhile."""
        self._approved.update(self._submission.joined())
        return sorted(self._approved & self._terms.hospitals.keys())
