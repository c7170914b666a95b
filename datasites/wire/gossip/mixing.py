"""How much each model counts in a network without a centre, and the mix of them.

Weights: Metropolis-Hastings, in the form of Xiao, Boyd and Lall (2005), A Scheme for Robust Distributed Sensor Fusion
Based on Average Consensus. A neighbour that is missing in a round leaves its weight to the hospital itself, so that the
weights of a round are symmetric and doubly stochastic whoever is missing, as Nedic and Olshevsky (2015), Distributed
Optimization over Time-Varying Directed Graphs, and Koloskova et al. (2020), A Unified Theory of Decentralized SGD with
Changing Topology and Local Updates, ask of a network that changes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from datasites.wire.arrays import Arrays, all_finite
from policies.errors import InvalidInput

Links = NDArray[np.bool_]
Vector = NDArray[np.float64]


def metropolis(links: Links) -> NDArray[np.float64]:
    """W of shape (n, n): W[i, j] = 1 / (1 + the greater degree of i and j) where they are linked, and the rest of each
    row on its diagonal. Symmetric and doubly stochastic: mixing with it keeps the mean of the models. A hospital
    without any link keeps its own."""
    degrees = links.sum(axis=1)
    weights = np.where(links, 1.0 / (1.0 + np.maximum.outer(degrees, degrees)), 0.0)
    return np.asarray(weights + np.diag(1.0 - weights.sum(axis=1)))


def mixed(own: Vector, heard: Mapping[str, Vector], weights: Mapping[str, float]) -> Vector:
    """One hospital's mix: what was heard of neighbours by their weights, and its own for the rest, that of the missing
    ones included. Added in the order of names, so that everybody who works it out gets the same bits."""
    total, rest = np.zeros_like(own), 1.0
    for name in sorted(heard):
        total += weights[name] * heard[name]
        rest -= weights[name]
    return np.asarray(total + rest * own)


def mixed_arrays(own: Arrays, heard: Mapping[str, Arrays], weights: Mapping[str, float]) -> Arrays:
    """The same of models, array by array; whole numbers and booleans are rounded. own, heard: of the same names,
    shapes and dtypes, and finite. Raises InvalidInput where a mix is too large for its dtype."""
    out: Arrays = {}
    for name, array in own.items():
        mix = mixed(
            np.asarray(array, np.float64), {h: np.asarray(m[name], np.float64) for h, m in heard.items()}, weights
        )
        with np.errstate(over="ignore", invalid="ignore"):  # told below
            out[name] = np.asarray(mix if array.dtype.kind == "f" else np.rint(mix)).astype(array.dtype)
    if wild := [name for name, array in out.items() if not all_finite(array)]:
        raise InvalidInput(f"The mix of models is too large to be a number in {', '.join(wild)}.")
    return out


def mean_arrays(models: Mapping[str, Arrays]) -> Arrays:
    """The plain mean of at least one model: where a hospital begins that joins a network under way."""
    first, *others = sorted(models)
    share = 1 / len(models)
    return mixed_arrays(models[first], {name: models[name] for name in others}, dict.fromkeys(others, share))
