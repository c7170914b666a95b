"""Who takes part in a study's rounds: hospitals come while it is under way, miss a round, and leave for good."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from datasites.wire.manifest import Manifest
from researcher.exchange import Exchange
from researcher.journal import Journal


class ApprovedStudy(Protocol):
    """A study that rounds can be run of: a `Submission`, or a `Simulation` of one."""

    manifest: Manifest
    journal: Journal

    def participants(self) -> list[str]:
        """Hospitals (addresses) whose approval is in force."""

    def noise(self) -> list[str]:
        """What the hospitals said of gate noise."""

    def joined(self) -> list[str]:
        """Hospitals that may have approved meanwhile, or nobody: asked before each round."""

    def label(self, hospital: str) -> str:
        """A hospital's short name."""

    def exchange(self) -> Exchange:
        """The way to the hospitals."""


class Stage(Protocol):
    """What is needed of a study to say how far it is."""

    manifest: Manifest
    journal: Journal


def stage_of(study: Stage) -> dict[str, object]:
    """Which study, and how far it is."""
    done = study.journal.checkpoint().round
    return {"study": study.manifest.job_name, "rounds": f"{done:,} of {study.manifest.rounds:,}"}


class Members:
    """The hospitals of a study. Once one has left it stays out until the next run."""

    def __init__(self, study: ApprovedStudy) -> None:
        self._study = study
        self._came: set[str] = set()
        self._left: set[str] = set()

    def gather(self) -> None:
        """Asks who has approved; those that left before stay out."""
        self._came = set(self._study.participants()) - self._left

    def look(self) -> None:
        """Lets those in that have approved since: they get the current state in the next message."""
        self._came.update(self._study.joined())

    def leave(self, hospital: str) -> None:
        self._left.add(hospital)

    @property
    def came(self) -> int:
        """How many have taken part, since `gather`."""
        return len(self._came)

    @property
    def present(self) -> list[str]:
        return sorted(self._came - self._left)

    def sample(self, size: int | None, seed: int, message: int) -> list[str]:
        """`size` of those present (all, when None), drawn evenly without replacement.

        The draw depends on the seed and the message's number alone, so that a study that was stopped asks the same
        hospitals again.
        """
        present = self.present
        if size is None or size >= len(present):
            return present
        drawn = np.random.default_rng((seed, message)).choice(len(present), size, replace=False)
        return [present[index] for index in sorted(drawn)]
