"""Hospitals whose updates do not look like training: found from the geometry of updates over rounds.

What is found is a reason to ask a hospital, not a proof: a very different ward can look like noise. Nobody is left out
of the model for it. With secure aggregation there are no single updates to look at, and none of this can be had.

The signs are those of Lin et al. (2019), Free-riders in Federated Learning, and Fraboni et al. (2021); the robust scale
is 1.4826 times the median absolute deviation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from datasites.wire.arrays import Arrays
from datasites.wire.shown import Shown
from researcher.strategies import Update

Kind = Literal["zero", "copied", "stale", "scaled", "noise"]
Vector = NDArray[np.float64]
Rounds = dict[int, "Seen"]
_MAD = 1.4826


@dataclass(frozen=True)
class Thresholds:
    """zero: of the median length of updates. same: the distance of two updates by the longer one's length, below which
    they are the same. scaled: how many times longer or shorter than usual, and how many robust deviations. cosine: to
    the mean direction of the others, below which an update has none; agreed: that of the others themselves, below which
    a round says nothing of it. often: share of the rounds that must show the sign."""

    zero: float = 0.01
    same: float = 0.03
    scaled: float = 4.0
    deviations: float = 4.0
    cosine: float = 0.2
    agreed: float = 0.3
    often: float = 0.5


@dataclass(frozen=True)
class Finding:
    """`hospitals` are two for a copy: which of them copied cannot be told from one round's updates."""

    kind: Kind
    hospitals: tuple[str, ...]
    rounds: tuple[int, ...]
    reason: str


@dataclass(frozen=True)
class Seen:
    """The updates of one round: differences to the state that was sent, of all floating-point parameters."""

    deltas: dict[str, Vector]
    before: Vector | None  # how the state itself moved in the round before


class Watch(Shown):
    """Looks at the updates of rounds: `Rounds(..., observer=watch)`. It changes nothing, and keeps all in memory."""

    def __init__(self) -> None:
        self.rounds: list[Seen] = []
        self._state: Vector = np.zeros(0)

    def _facts(self) -> dict[str, object]:
        return {"rounds seen": len(self.rounds), "findings": len(self.findings()) if self.rounds else None}

    def begin(self, current: Arrays) -> None:
        """A round begins with this state."""
        state = _vector(current)
        self.rounds.append(Seen({}, state - self._state if self.rounds else None))
        self._state = state

    def see(self, update: Update) -> None:
        """A usable update of this round."""
        self.rounds[-1].deltas[update.hospital] = _vector(update.parameters) - self._state

    def findings(self, thresholds: Thresholds | None = None) -> list[Finding]:
        """What looks like free-riding, over all rounds so far; see `find`."""
        return find(self.rounds, thresholds or Thresholds())

    def record(self, label: Callable[[str], str] = str) -> pd.DataFrame:
        """One row per finding, in words that can be shown to the hospital it is about."""
        rows = [asdict(finding) for finding in self.findings()]
        for row in rows:
            row["hospitals"] = ", ".join(label(hospital) for hospital in row["hospitals"])
        return pd.DataFrame(rows, columns=["kind", "hospitals", "rounds", "reason"])


def find(rounds: Sequence[Seen], thresholds: Thresholds) -> list[Finding]:
    """Every finding; of each hospital only the first kind that fits: zero, copied, stale, scaled, noise.

    Who is accused is left out of what later signs take for usual. Rounds with fewer than three hospitals say nothing:
    there is no usual to differ from.
    """
    found: list[Finding] = []
    accused: set[str] = set()
    for sign in (_zero, _copied, _stale, _scaled, _noise):
        apart = {finding.hospitals[-1] for finding in found}  # of a pair one stays: it may be honest
        new = [one for one in sign(_without(rounds, apart), thresholds) if not accused & set(one.hospitals)]
        found += new
        accused.update(hospital for finding in new for hospital in finding.hospitals)
    return found


def _without(rounds: Sequence[Seen], apart: set[str]) -> Rounds:
    kept = {
        number: Seen({h: delta for h, delta in seen.deltas.items() if h not in apart}, seen.before)
        for number, seen in enumerate(rounds, 1)
    }
    return {number: seen for number, seen in kept.items() if len(seen.deltas) >= 3}


def _zero(rounds: Rounds, t: Thresholds) -> list[Finding]:
    def is_zero(seen: Seen, hospital: str) -> bool:
        return _length(seen.deltas[hospital]) <= t.zero * _usual(seen, hospital)

    why = "It sent back the model as it was, or nearly so: it did not train."
    return _per_hospital("zero", why, rounds, is_zero, t)


def _copied(rounds: Rounds, t: Thresholds) -> list[Finding]:
    found = []
    for pair in combinations(_hospitals(rounds), 2):
        both = [number for number, seen in rounds.items() if seen.deltas.keys() >= set(pair)]
        same = [n for n in both if _same(rounds[n].deltas[pair[0]], rounds[n].deltas[pair[1]], t)]
        if both and len(same) >= t.often * len(both):
            why = "They sent the same update, or nearly so: one has the other's, or both have one source."
            found.append(Finding("copied", pair, tuple(same), why))
    return found


def _stale(rounds: Rounds, t: Thresholds) -> list[Finding]:
    """An own earlier update, or the movement of the whole model, sent again."""

    def is_stale(number: int, hospital: str) -> bool:
        own = [seen.deltas[hospital] for n, seen in rounds.items() if n < number and hospital in seen.deltas]
        before = rounds[number].before
        earlier = own if before is None else [*own, before]
        return any(_same(rounds[number].deltas[hospital], one, t) for one in earlier)

    found = []
    for hospital in _hospitals(rounds):
        later = [number for number, seen in rounds.items() if hospital in seen.deltas][1:]
        stale = [number for number in later if is_stale(number, hospital)]
        if later and len(stale) >= t.often * len(later):
            why = "It sent an earlier update of its own, or the whole model's last movement, once more."
            found.append(Finding("stale", (hospital,), tuple(stale), why))
    return found


def _scaled(rounds: Rounds, t: Thresholds) -> list[Finding]:
    def is_scaled(seen: Seen, hospital: str) -> bool:
        others = [math.log(length) for h, d in seen.deltas.items() if h != hospital and (length := _length(d)) > 0]
        length = _length(seen.deltas[hospital])
        if len(others) < 2 or length == 0:
            return False
        middle = float(np.median(others))
        spread = _MAD * float(np.median(np.abs(np.asarray(others) - middle)))
        return abs(math.log(length) - middle) > max(math.log(t.scaled), t.deviations * spread)

    why = "Its updates are many times longer, or shorter, than is usual among the others."
    return _per_hospital("scaled", why, rounds, is_scaled, t)


def _noise(rounds: Rounds, t: Thresholds) -> list[Finding]:
    """By the mean cosine over rounds: that of noise is near 0, whatever its length.

    Near the end of training all updates are noise; then the others do not agree either, and nobody is accused.
    """
    found = []
    cosines = {number: {h: _cosine_to_others(seen, h) for h in seen.deltas} for number, seen in rounds.items()}
    for hospital in _hospitals(rounds):
        telling = {
            number: of[hospital]
            for number, of in cosines.items()
            if hospital in of and np.median([c for other, c in of.items() if other != hospital]) >= t.agreed
        }
        if telling and (mean := float(np.mean(list(telling.values())))) < t.cosine:
            why = f"Its updates have no direction in common with the others' (mean cosine {mean:.2f})."
            found.append(Finding("noise", (hospital,), tuple(telling), why))
    return found


def _per_hospital(
    kind: Kind, why: str, rounds: Rounds, shows: Callable[[Seen, str], bool], t: Thresholds
) -> list[Finding]:
    found = []
    for hospital in _hospitals(rounds):
        there = [number for number, seen in rounds.items() if hospital in seen.deltas]
        showing = [number for number in there if shows(rounds[number], hospital)]
        if there and len(showing) >= t.often * len(there):
            found.append(Finding(kind, (hospital,), tuple(showing), why))
    return found


def _hospitals(rounds: Rounds) -> list[str]:
    return sorted({hospital for seen in rounds.values() for hospital in seen.deltas})


def _usual(seen: Seen, hospital: str) -> float:
    return float(np.median([_length(delta) for other, delta in seen.deltas.items() if other != hospital]))


def _same(one: Vector, other: Vector, t: Thresholds) -> bool:
    longer = max(_length(one), _length(other))
    return longer > 0 and _length(one - other) <= t.same * longer


def _cosine_to_others(seen: Seen, hospital: str) -> float:
    """To the sum of the others' directions: their lengths do not matter, so that one cannot drown the rest."""
    others = [delta / _length(delta) for h, delta in seen.deltas.items() if h != hospital and _length(delta) > 0]
    own, mean = seen.deltas[hospital], np.sum(others, axis=0) if others else np.zeros(1)
    lengths = _length(own) * _length(mean)
    return float(own @ mean / lengths) if lengths > 0 else 1.0


def _length(vector: Vector) -> float:
    return float(np.linalg.norm(vector))


def _vector(arrays: dict[str, NDArray[Any]]) -> Vector:
    chosen = [array.ravel().astype(np.float64) for _, array in sorted(arrays.items()) if array.dtype.kind == "f"]
    return np.concatenate(chosen) if chosen else np.zeros(0)
