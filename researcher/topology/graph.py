"""Who exchanges models with whom in a network without a centre, and how much each model counts.

Weights: Metropolis-Hastings, see `datasites.wire.gossip.mixing`, and Boyd, Diaconis and Xiao (2004), Fastest Mixing
Markov Chain on a Graph.
Exponential graph: Ying et al. (2021), Exponential Graph is Provably Efficient for Decentralized Deep Training.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from datasites.wire.gossip.mixing import Links, metropolis
from policies.errors import InvalidInput

__all__ = ["Exponential", "Given", "Graph", "Links", "Ring", "check_whole", "metropolis", "spectral_gap"]


class Graph(Protocol):
    """A network of hospitals."""

    def links(self, hospitals: Sequence[str]) -> Links:
        """Between which of these hospitals models go, both ways: symmetric, of shape (n, n), False on the diagonal."""


@dataclass(frozen=True)
class Ring:
    """Each hospital and its two neighbours, in the order of their addresses: least traffic, slowest agreement."""

    def links(self, hospitals: Sequence[str]) -> Links:
        """See `Graph.links`."""
        return _circulant(len(hospitals), [1])


@dataclass(frozen=True)
class Exponential:
    """Each hospital and those that stand 1, 2, 4, 8, ... places from it, in the order of addresses, both ways.

    About 2 log2(n) neighbours. Ying et al. send one way; both ways keep the mean where a hospital is missing too.
    """

    def links(self, hospitals: Sequence[str]) -> Links:
        """See `Graph.links`."""
        n = len(hospitals)
        return _circulant(n, [2**power for power in range(n.bit_length()) if 2**power < n])


class Given:
    """A graph of one's own: the neighbours of each hospital, by short name or address. A link named once goes both
    ways. Raises InvalidInput where it does not hang together."""

    def __init__(self, neighbours: Mapping[str, Iterable[str]]) -> None:
        self._pairs: set[frozenset[str]] = set()
        self.names = set(neighbours)
        for one, others in neighbours.items():
            listed = [others] if isinstance(others, str) else list(others)
            if one in listed:
                raise InvalidInput(f"In the graph {one} is its own neighbour.", "A hospital's own model always counts.")
            self.names.update(listed)
            self._pairs.update(frozenset((one, other)) for other in listed)
        names = sorted(self.names)
        check_whole(names, self.links(names))

    def __repr__(self) -> str:
        return f"{len(self.names)} hospitals with {len(self._pairs)} links"

    def links(self, hospitals: Sequence[str]) -> Links:
        linked = [[frozenset((one, other)) in self._pairs for other in hospitals] for one in hospitals]
        return np.asarray(linked, np.bool_).reshape(len(hospitals), len(hospitals))


def check_whole(names: Sequence[str], links: Links) -> None:
    """Raises InvalidInput where some hospitals could never hear of others."""
    reached, fresh = set(), {0} if names else set()
    while fresh:
        reached |= fresh
        fresh = {int(j) for i in fresh for j in np.flatnonzero(links[i])} - reached
    if len(reached) < len(names):
        inside = ", ".join(name for i, name in enumerate(names) if i in reached)
        outside = ", ".join(name for i, name in enumerate(names) if i not in reached)
        raise InvalidInput(f"The graph falls into parts: no way leads from {inside} to {outside}.", "Add a link.")


def spectral_gap(weights: NDArray[np.float64]) -> float:
    """1 less the second largest absolute eigenvalue of a symmetric W: each mixing brings models nearer to their mean by
    at least this share of their distance. 1: agreement at once; 0: never."""
    if len(weights) == 1:
        return 1.0
    return float(1.0 - np.sort(np.abs(np.linalg.eigvalsh(weights)))[-2])


def _circulant(n: int, steps: Sequence[int]) -> Links:
    links = np.zeros((n, n), np.bool_)
    for step in steps:
        for i in range(n):
            j = (i + step) % n
            if i != j:
                links[i, j] = links[j, i] = True
    return links
