"""Krum and Multi-Krum: Blanchard et al. (2017), Machine Learning with Adversaries: Byzantine Tolerant Gradient
Descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from policies.errors import InvalidInput
from researcher.strategies.layout import Vector
from researcher.strategies.together import Matrix, Together


@dataclass(frozen=True)
class Krum(Together):
    """The one update that is nearest to its neighbours; everything else is thrown away.

    byzantine: how many of the n hospitals may be faulty or hostile, f. An update's score is the sum of the squared
    Euclidean distances, of weights alone, to its n - f - 2 nearest; the lowest wins, the first by name among equals,
    and is taken whole with its buffers. A round needs 2f + 3 hospitals. Ignores numbers of examples and keeps all
    updates in memory, see together.py.
    """

    byzantine: int = 0

    name: ClassVar[str] = "Krum"

    def __post_init__(self) -> None:
        if not isinstance(self.byzantine, int) or self.byzantine < 0:
            raise InvalidInput(f"{self.name}: byzantine must be a whole number, 0 or more.")

    @property
    def min_updates(self) -> int:
        return 2 * self.byzantine + 3

    def combine(self, updates: Matrix, weights: NDArray[np.bool_]) -> Vector:
        return np.asarray(updates[_by_score(updates[:, weights], self.byzantine)[0]])


@dataclass(frozen=True)
class MultiKrum(Krum):
    """The plain mean of the `keep` updates with the best Krum scores, see Krum.

    keep: n - f - 2 where it is None; a round needs at least f + 2 hospitals more than are kept
    (Damaskinos et al., 2019, AggregaThor, show that this keeps Krum's guarantee).
    """

    keep: int | None = None

    name: ClassVar[str] = "MultiKrum"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.keep is not None and (not isinstance(self.keep, int) or self.keep < 1):
            raise InvalidInput("MultiKrum: keep must be a whole number, at least 1.")

    @property
    def min_updates(self) -> int:
        return max(super().min_updates, (self.keep or 0) + self.byzantine + 2)

    def combine(self, updates: Matrix, weights: NDArray[np.bool_]) -> Vector:
        keep = self.keep or len(updates) - self.byzantine - 2
        best = _by_score(updates[:, weights], self.byzantine)[:keep]
        return np.asarray(updates[np.sort(best)].mean(axis=0))


def _by_score(points: Matrix, byzantine: int) -> NDArray[np.intp]:
    """The rows of `points`, best score first."""
    nearest = len(points) - byzantine - 2
    scores = []
    for index, point in enumerate(points):
        distances = np.delete(((points - point) ** 2).sum(axis=1), index)
        scores.append(np.sort(distances)[:nearest].sum())
    return np.argsort(scores, kind="stable")
