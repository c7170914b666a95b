"""What noisy tables of single columns and of pairs say together: shares that agree, and a tree of what depends on what.

All of it is post-processing of what hospitals released, and costs no privacy. The tree is that of Chow and Liu (1968),
Approximating Discrete Probability Distributions with Dependence Trees; PrivBayes (Zhang et al. 2017) and MST (McKenna,
Miklau and Sheldon 2021) build on the like. Where a pair's tables do not tell a dependence from the noise, it has no
edge, so that the tree may be a forest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.stats import chi2

from datasites.wire.marginals import Marginals

Floats = NDArray[np.float64]
_BY_CHANCE = 0.1  # of the dependences that are seen
_ITERATIONS = 50  # of proportional fitting


@dataclass(frozen=True)
class Edge:
    """Two columns, by their places, and how they depend: `joint` [cells, cells] sums to 1 and agrees with the shares
    of each. information: mutual information, in nats."""

    first: int
    second: int
    joint: Floats = field(repr=False)
    information: float


@dataclass(frozen=True)
class Fitted:
    """total: how many encounters. shares: of each column's cells; each sums to 1 and none is below 0."""

    total: float
    shares: list[Floats] = field(repr=False)
    edges: list[Edge] = field(repr=False)


def fit(asked: Marginals, row: NDArray[np.generic], deviation: float) -> Fitted:
    """row: counts as `Marginals` orders them, of one hospital or the sum over some. deviation: of the noise in each."""
    singles, pairs = _tables(asked, np.asarray(row, np.float64))
    total = max(1.0, _total(singles, pairs))
    shares = [_shares(i, single, pairs, total) for i, single in enumerate(singles)]
    found = {
        pair: _compared(table, shares[pair[0]], shares[pair[1]], total, deviation) for pair, table in pairs.items()
    }
    clear = _beyond_chance({pair: likely for pair, (likely, _) in found.items()})
    edges = [_edge(pair, found[pair][1], shares) for pair in clear]
    return Fitted(total, shares, _forest(edges, len(shares)))


def _tables(asked: Marginals, row: Floats) -> tuple[list[Floats], dict[tuple[int, int], Floats]]:
    cells = [one.cells for one in asked.inputs]
    shapes = [*((n,) for n in cells), *((cells[i], cells[j]) for i, j in asked.pairs)]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    parts = [part.reshape(shape) for part, shape in zip(np.split(row, ends), shapes, strict=True)]
    return parts[: len(cells)], dict(zip(asked.pairs, parts[len(cells) :], strict=True))


def _total(singles: list[Floats], pairs: dict[tuple[int, int], Floats]) -> float:
    """Every table holds every encounter once; the fewer its cells, the less noise its sum has."""
    tables = [*singles, *pairs.values()]
    return float(np.average([table.sum() for table in tables], weights=[1 / table.size for table in tables]))


def _shares(place: int, single: Floats, pairs: dict[tuple[int, int], Floats], total: float) -> Floats:
    """The mean of what its own table and all pairs' say, weighted by how little noise there is in it."""
    told, weights = [single], [1.0]
    for (i, j), table in pairs.items():
        if place in (i, j):
            told.append(table.sum(axis=1 if place == i else 0))
            weights.append(single.size / table.size)
    return _onto_simplex(np.average(told, axis=0, weights=weights) / total)


def _onto_simplex(values: Floats) -> Floats:
    """The nearest shares that sum to 1 and of which none is below 0 (Held, Wolfe and Crowder 1974)."""
    descending = np.sort(values)[::-1]
    excess = (np.cumsum(descending) - 1) / np.arange(1, len(values) + 1)
    return np.asarray(np.maximum(values - excess[np.flatnonzero(descending > excess)[-1]], 0.0))


def _compared(table: Floats, left: Floats, right: Floats, total: float, deviation: float) -> tuple[float, Floats]:
    """How likely a table as far from that of two columns that do not depend on each other is, if they do not; and what
    it has beyond that, shrunk by the part that chance accounts for (James and Stein 1961)."""
    beyond = _interaction(table / total - np.outer(left, right))
    freedom = (left.size - 1) * (right.size - 1)
    # the noise of the table; that of the shares, which is at most that of their own tables; which patients there were
    noise = freedom + (left.size - 1) * _square(right) + (right.size - 1) * _square(left)
    chance = float(noise * (deviation / total) ** 2 + (1 - left @ left) * (1 - right @ right) / total)
    square = float((beyond**2).sum())
    likely = float(chi2.sf(freedom * square / chance, freedom)) if chance > 0 else 1.0
    kept = float(max(0.0, 1 - chance / square)) if square > 0 else 0.0
    return likely, kept * beyond


def _beyond_chance(likely: Mapping[tuple[int, int], float]) -> list[tuple[int, int]]:
    """Those pairs among which no more than one in ten is there by chance (Benjamini and Hochberg 1995)."""
    ordered = sorted(likely, key=lambda pair: likely[pair])
    passed = [n for n, pair in enumerate(ordered, 1) if likely[pair] <= _BY_CHANCE * n / len(ordered)]
    return ordered[: max(passed, default=0)]


def _edge(pair: tuple[int, int], beyond: Floats, shares: list[Floats]) -> Edge:
    left, right = shares[pair[0]], shares[pair[1]]
    apart = np.outer(left, right)
    joint = _fitted(np.maximum(apart + beyond, 0.0), left, right)
    there = joint > 0
    information = float((joint[there] * np.log(joint[there] / apart[there])).sum())
    return Edge(*pair, joint, max(0.0, information))


def _square(share: Floats) -> float:
    return float(((share - share.mean()) ** 2).sum())


def _interaction(table: Floats) -> Floats:
    """What is left of a table without what its rows, its columns and its whole say, which other tables say better."""
    return np.asarray(table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean())


def _fitted(joint: Floats, left: Floats, right: Floats) -> Floats:
    """Proportional fitting (Deming and Stephan 1940) of a table to its margins; a little of the product of these makes
    it possible everywhere."""
    joint = joint + 1e-9 * np.outer(left, right)
    for _ in range(_ITERATIONS):
        joint = joint * _ratio(left, joint.sum(axis=1))[:, None]
        joint = joint * _ratio(right, joint.sum(axis=0))
    return joint


def _ratio(wanted: Floats, there: Floats) -> Floats:
    return np.divide(wanted, there, out=np.zeros_like(wanted), where=there > 0)


def _forest(edges: list[Edge], columns: int) -> list[Edge]:
    """The edges of the spanning forest with the most information."""
    if not edges:
        return []
    most = max(edge.information for edge in edges)
    weights = [1 + most - edge.information for edge in edges]  # above 0: where there is 0, there is no edge
    rows, places = [edge.first for edge in edges], [edge.second for edge in edges]
    tree = minimum_spanning_tree(coo_matrix((weights, (rows, places)), shape=(columns, columns)).tocsr()).tocoo()
    kept = set(zip(tree.row.tolist(), tree.col.tolist(), strict=True))
    return [edge for edge in edges if (edge.first, edge.second) in kept]
