"""What a study asks for, in the terms that policies speak of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from policies.code import Finding, review
from policies.privacy.events import Event

STATISTICS = "private_statistics"  # the name under which counts and means of the private tier leave, always with noise


@dataclass(frozen=True)
class StudyRequest:
    """One study at one hospital. What is not known is left at its default, and is refused wherever a rule asks for it.

    pseudonyms: whether the code sees which rows belong to one patient. patients: in the hospital's table.
    max_bytes: of one round's result. kept_bytes: of what stays at the hospital for the study's next round.
    processes: of its code, that train together. evaluate_arrays: shapes. files: text by path.
    rounds_asked: as the study says, where the owner allows only `rounds`. events: all that a study of the private tier
    releases.
    protections: "secure_aggregation", "gate_noise": what this hospital will really apply to the study's results.
    summed: where only sums over hospitals are read, the tables whose withheld cells can be left out of one; None where
    this hospital's own are read.
    neighbours: hospitals that train without a centre and read each other's models; empty where none do.
    first: the digest of the study that it repeats to the last byte; its own digest when it repeats none.
    approved_digests: of the studies that a person approved here and whose approval is in force.
    """

    researcher: str
    purpose: str
    dataset: str
    columns: tuple[str, ...]
    tier: str
    rounds: int
    seconds_per_round: int
    max_bytes: int
    fit_metrics: tuple[str, ...]
    evaluate_metrics: tuple[str, ...]
    evaluate_arrays: Mapping[str, tuple[int, ...]]
    files: Mapping[str, str]
    config: Mapping[str, Any]
    digest: str
    first: str = ""
    pseudonyms: bool = True
    patients: int | None = None
    rounds_asked: int = 0
    kept_bytes: int = 0
    processes: int = 1
    events: tuple[Event, ...] = ()
    protections: frozenset[str] = frozenset()
    summed: tuple[str, ...] | None = None
    neighbours: tuple[str, ...] = ()
    approved_digests: frozenset[str] = field(default=frozenset(), repr=False)

    @cached_property
    def findings(self) -> list[Finding]:
        """The review of its code."""
        return review(self.files)
