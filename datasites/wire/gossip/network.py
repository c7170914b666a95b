"""What a study asks for in which hospitals train without a centre: which of them send each other their models."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from datasites.wire.gossip.mixing import metropolis
from datasites.wire.secagg.terms import Fingerprint
from datasites.wire.values import Email, Frozen

MOST_HOSPITALS = 500
Link = Annotated[tuple[Email, Email], Field(strict=False)]


class Network(Frozen):
    """hospitals: all that may take part, with their keys' fingerprints: nobody else is sent anything, or heard.

    links: between which of them models go, both ways; sorted, each once. The names of graphs mean nothing to a
    hospital: it is shown, and holds itself to, the links alone.
    deadline: seconds that a hospital waits for its neighbours' models in a round, by its own clock.
    report_every: rounds between two reports of each hospital's model to the researcher; 0: only after the last round.
    """

    hospitals: dict[Email, Fingerprint] = Field(min_length=2, max_length=MOST_HOSPITALS)
    links: Annotated[tuple[Link, ...], Field(strict=False, min_length=1, max_length=MOST_HOSPITALS**2)]
    deadline: Annotated[float, Field(ge=1, le=7 * 24 * 3600, allow_inf_nan=False)] = 600.0
    report_every: Annotated[int, Field(ge=0, le=100_000)] = 0

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if len(set(self.hospitals.values())) < len(self.hospitals):
            raise ValueError("two hospitals have the same keys")
        if list(self.links) != sorted(set(self.links)) or any(one >= other for one, other in self.links):
            raise ValueError("links must be sorted, each named once, from the hospital that comes first")
        if not {name for link in self.links for name in link} <= self.hospitals.keys():
            raise ValueError("a link names a hospital that does not take part")
        reached, fresh = set[str](), {self.links[0][0]}
        while fresh:
            reached |= fresh
            fresh = {name for at in fresh for name in self.neighbours(at)} - reached
        if reached < self.hospitals.keys():
            raise ValueError("the network falls into parts")
        return self

    def neighbours(self, hospital: str) -> list[str]:
        """Who is sent its models, and heard by it; sorted."""
        return sorted({name for link in self.links if hospital in link for name in link} - {hospital})

    @property
    def greatest_degree(self) -> int:
        return max(len(self.neighbours(hospital)) for hospital in self.hospitals)

    def weights(self, hospital: str) -> dict[str, float]:
        """How much each of its neighbours' models counts in its mix; see `mixing`."""
        at = self._order.index(hospital)
        return {name: float(self._matrix[at, self._order.index(name)]) for name in self.neighbours(hospital)}

    @cached_property
    def _order(self) -> list[str]:
        return sorted(self.hospitals)

    @cached_property
    def _matrix(self) -> np.ndarray:
        order = self._order
        links = np.zeros((len(order), len(order)), np.bool_)
        for one, other in self.links:
            i, j = order.index(one), order.index(other)
            links[i, j] = links[j, i] = True
        return metropolis(links)
