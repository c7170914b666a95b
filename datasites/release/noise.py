"""Gate noise: what a study's code did to the model leaves only clipped, as a whole, and covered with noise.

The update is what came back minus what was sent, over all arrays of floating-point numbers together, in float64. It is
scaled down to the policy's `max_update_norm` C where it is longer, and to each number Gaussian noise of standard
deviation `gate_noise` * C is added. Whatever the table holds, the update lies within C of nothing at all, so two tables
give updates at most 2C apart: one round is one event of `policies.privacy.gate_noise`, by hospital.

What a study keeps here between rounds does not change that. It is a function of the table and of earlier releases, so
round by round, given those, the update still is one, within C whatever it is: adaptive composition, which is what the
ledger reckons with, asks for no more (docs/limits.md).

Everything else that code could speak through is a constant: arrays of whole numbers leave as they were sent, the number
of examples is 1, and there are no metrics. A result that may not leave counts as an update of zeros.

The noise is added in the agent, after the gate's own process has answered: not even a result that has taken that
process over leaves without it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datasites.release.rounding import EXAMPLES
from datasites.runner.replies import Outcome
from datasites.training.private.randomness import SecureRandom, noisy_sum
from datasites.wire.arrays import Arrays


def noised(came: Arrays | None, sent: Arrays, clip: float, noise: float, random: SecureRandom) -> Outcome:
    """What may leave of the parameters in `came`, which have the names and shapes of `sent`; None stands for a result
    that may not leave. clip: C. noise: as a multiple of C. Nothing is kept."""
    total = clipped(update(came, sent), clip) if came is not None else np.zeros(_size(sent))
    return Outcome(_moved(sent, noisy_sum(total, clip, noise, random)), EXAMPLES, {})


def update(came: Arrays, sent: Arrays) -> NDArray[np.float64]:
    """All floating-point arrays of `sent` in one row, in the order of their names."""
    with np.errstate(over="ignore", invalid="ignore"):
        moved = [(came[name].astype(np.float64) - sent[name].astype(np.float64)).ravel() for name in _floats(sent)]
    return np.concatenate([*moved, np.zeros(0)])


def clipped(moved: NDArray[np.float64], clip: float) -> NDArray[np.float64]:
    """Not longer than `clip`, of the same direction; zeros for what is not finite."""
    largest = float(np.abs(moved).max(initial=0.0))
    if largest == 0 or not np.isfinite(largest):
        return np.zeros_like(moved)
    scaled = moved / largest  # the squares of large numbers would overflow
    norm = largest * float(np.linalg.norm(scaled))
    return moved if norm <= clip else scaled * (clip / float(np.linalg.norm(scaled)))


def _moved(sent: Arrays, moved: NDArray[np.float64]) -> Arrays:
    arrays, at = dict(sent), 0
    for name in _floats(sent):
        array = sent[name]
        after = array.astype(np.float64).ravel() + moved[at : at + array.size]
        most = float(np.finfo(array.dtype).max)
        arrays[name] = np.clip(after, -most, most).astype(array.dtype).reshape(array.shape)
        at += array.size
    return arrays


def _floats(sent: Arrays) -> list[str]:
    return sorted(name for name, array in sent.items() if array.dtype.kind == "f")


def _size(sent: Arrays) -> int:
    return sum(sent[name].size for name in _floats(sent))
