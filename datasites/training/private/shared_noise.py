"""Noise that several hospitals add together: each a discrete Gaussian on whole numbers.

Drawn by OpenDP, whose sampler is exact (Canonne, Kamath and Steinke 2020) and takes its bits from the operating
system. How wide it is, and why: `policies.privacy.sharing`. One hospital's numbers with its share alone have too little
noise to be shown to anybody: they leave masked, in a secure sum.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.privacy.sharing import Sharing

_LARGEST = 2.0**50  # in steps: more than any table's sum


def shared_counts(
    counts: NDArray[np.int64], sensitivity: float, noise_multiplier: float, sharing: Sharing
) -> NDArray[np.int64]:
    """`counts` with this hospital's share. sensitivity: the most that one patient changes them, in L2."""
    own = sharing.deviation(noise_multiplier, sensitivity, counts.size)
    return counts + discrete_gaussians(counts.size, own).reshape(counts.shape)


def shared_sum(
    total: NDArray[np.float64], sensitivity: float, noise_multiplier: float, sharing: Sharing, grid: float
) -> NDArray[np.float64]:
    """`total`, rounded to multiples of `grid`, with this hospital's share.

    sensitivity: the most that one patient changes `total`, in L2; rounding adds at most a step in each number to it.
    """
    whole = np.rint(np.clip(total / grid, -_LARGEST, _LARGEST)).astype(np.int64)
    steps = sensitivity / grid + float(np.sqrt(total.size))
    return shared_counts(whole, steps, noise_multiplier, sharing).astype(np.float64) * grid


def discrete_gaussians(count: int, deviation: float) -> NDArray[np.int64]:
    """`count` whole numbers, each with probability proportional to exp(-x^2 / (2 deviation^2))."""
    import opendp.prelude as opendp  # some seconds; few studies need it

    opendp.enable_features("contrib")  # what OpenDP calls code whose proof has not been vetted by a second person
    numbers = opendp.vector_domain(opendp.atom_domain(T="i64"))
    add_noise = opendp.m.make_gaussian(numbers, opendp.l2_distance(T="f64"), scale=deviation)
    return np.array(add_noise([0] * count), np.int64)
