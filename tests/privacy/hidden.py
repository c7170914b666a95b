"""Gate noise, attacked: two tables of a hospital whose updates are as far apart as can be, and one patient's record.

The attacker's own study makes the update, so in one world it is as long as it likes in one direction, in the other in
the opposite one: what a patient's presence, or any other question about the table, could be answered by.
"""

from __future__ import annotations

import numpy as np

from datasites.release.noise import noised
from datasites.training.private.randomness import SecureRandom
from datasites.wire.arrays import Arrays
from policies.privacy.accounting import epsilon
from policies.privacy.events import gate_noise
from tests.privacy import inversion
from tests.privacy.bounds import two_worlds
from tests.privacy.canaries import DELTA

RUNS, WIDTH, CLIP, NOISE = 400, 20, 0.5, 8.0
_SENT = {"weight": np.zeros((1, WIDTH), np.float32)}


def audit(seed: int = 0) -> tuple[float, float]:
    """(claimed, empirical) epsilon of one round."""
    random = SecureRandom(seed.to_bytes(32, "big"))
    shout = np.full((1, WIDTH), 100.0, np.float32)
    said = {sign: np.array([_heard(sign * shout, random) > 0 for _ in range(RUNS)]) for sign in (1.0, -1.0)}
    return epsilon([gate_noise(NOISE)], DELTA), two_worlds(said[1.0], said[-1.0], DELTA)


def closeness(seed: int) -> float:
    """|cosine| of a patient's record and what gradient inversion makes of the update behind gate noise."""
    x, random = inversion.record(seed), SecureRandom(seed.to_bytes(32, "big"))
    left = noised(inversion.raw_update(x), inversion.initial(), CLIP, NOISE, random)
    return inversion.closeness(left.parameters, x)


def _heard(update: np.ndarray, random: SecureRandom) -> float:
    came: Arrays = {"weight": update.astype(np.float32)}
    return float(noised(came, _SENT, CLIP, NOISE, random).parameters["weight"].sum())
