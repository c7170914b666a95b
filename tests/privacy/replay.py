"""The same round asked again and again: harmless where it gets the stored answer, ruinous where it gets new noise."""

from __future__ import annotations

from datasites.wire.training import Training
from tests.privacy.canaries import Found, audit, training

NAME = "a round that is asked again gets new noise"
REPEATS, CANARIES, NOISE = 128, 500, 6.0


def study() -> Training:
    return training(NOISE, steps=4, canaries=CANARIES)


def fresh() -> Found:
    """Were it so: the attacker averages the answers, and has paid for one round. `TrustedStudy` has new noise in every
    call, which is why the agent must never call it twice for a round."""
    return audit(study(), rounds=1, repeats=REPEATS)


def stored() -> Found:
    """As it is: one answer, however often it is asked for."""
    return audit(study(), rounds=1)
