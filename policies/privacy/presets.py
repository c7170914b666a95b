"""Four levels of privacy in plain words, and a delta that fits a table."""

from __future__ import annotations

import math
from dataclasses import dataclass

from policies.errors import InvalidInput


@dataclass(frozen=True)
class Preset:
    """`meaning` is for the data owner."""

    name: str
    epsilon: float
    meaning: str


def certainty(epsilon: float) -> float:
    """How sure somebody can become, from even odds, that one patient is in the table, who knows all the others and sees
    all that was released; up to delta. Wasserman and Zhou 2010; Kairouz, Oh and Viswanath 2015."""
    return 1 / (1 + math.exp(-epsilon))


def in_percent(epsilon: float) -> str:
    """`certainty`, to be read aloud."""
    sure = 100 * certainty(epsilon)
    return f"{sure:.1f}%" if sure < 99 else f"{sure:.3f}%"


def _preset(name: str, epsilon: float, words: str) -> Preset:
    return Preset(
        name,
        epsilon,
        f"{words} Somebody who knows every other patient, and thinks it even odds that one more is in the table, can "
        f"be at most {in_percent(epsilon)} sure after seeing everything that was released.",
    )


PRESETS = (
    _preset("very strong", 0.1, "Hardly anything can be learned of a patient, and little of the whole table."),
    _preset("strong", 1.0, "For patients who would be harmed if it were known that they are in the table."),
    _preset("moderate", 3.0, "A promise in numbers that still means something for each patient."),
    _preset("weak", 10.0, "The bound itself promises almost nothing; real attacks find it hard, which is no proof."),
)


def delta_for(patients: int) -> float:
    """The largest power of ten below 1/patients: the chance, at most, that the promise of epsilon fails for a patient
    must be so small that it is not expected to happen to anybody."""
    if patients < 1:
        raise InvalidInput("A table without patients has no delta.")
    return float(f"1e-{math.floor(math.log10(patients)) + 1}")
