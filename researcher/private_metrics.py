"""What noisy score histograms of several hospitals say of a model, and how sure one can be of it.

Sums of histograms and all that follows from them are post-processing: they cost no more privacy. Every band holds both
kinds of chance, that other patients might have been tested and that noise was added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from datasites.wire.shown import Shown
from policies.errors import InvalidInput
from researcher.metrics import auc_from_histogram
from researcher.result import Result
from researcher.secagg.summed import added_noise

_DRAWS = 500
_WHOLE = 100  # from here on an estimate is of a count, and shows no decimals
_CLEAR = 10.0  # a calibration group's count is at least so many standard deviations of its noise


@dataclass(frozen=True)
class Estimate:
    """A value with its 95% band."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        form = ",.0f" if abs(self.value) >= _WHOLE else ".4f"
        return f"{self.value:{form}} (95% {self.low:{form}} to {self.high:{form}})"

    def within(self, low: float, high: float) -> Estimate:
        """Of a quantity that lies in this range whatever the noise says: the band covers it as often as before."""
        return Estimate(*(float(np.clip(one, low, high)) for one in (self.value, self.low, self.high)))


class PrivateScores(Shown):
    """Histograms [2, bins] of the same bins, one a hospital, each count with noise of standard deviation `noise`.

    edges: between the bins. Bands are those of a parametric bootstrap (Efron and Tibshirani 1993): counts are drawn
    again around those that came, with Poisson variance and the noise's. They suppose one encounter a patient, and do
    not cover that scores are only known by their bin.
    """

    def __init__(
        self, histograms: Sequence[NDArray[np.int64]], edges: Sequence[float], noise: float, seed: int = 0
    ) -> None:
        if not histograms:
            raise InvalidInput("There is no score histogram.", "Did the study ask for evaluations?")
        self.counts = np.sum([np.asarray(one, np.float64) for one in histograms], axis=0)
        if self.counts.shape != (2, len(edges) + 1):
            raise InvalidInput("The histograms do not have the bins that the edges make.")
        self.noise = noise * len(histograms) ** 0.5
        bounds = np.array([0.0, *edges, 1.0])
        self._middles = (bounds[1:] + bounds[:-1]) / 2
        self._bounds, self._rng = bounds, np.random.default_rng(seed)

    def _facts(self) -> dict[str, object]:
        known = {"AUC": self.auc(), "Brier score": self.brier(), "with the outcome": self.positives()}
        return {**known, "tested": self.tested(), "noise of each count": self.noise}

    @classmethod
    def of(cls, result: Result) -> PrivateScores:
        """Of the last evaluated state of a private study. Raises InvalidInput where there is none."""
        training = result.manifest.training
        if training is None or training.evaluation is None:
            raise InvalidInput("This study has no private evaluation.")
        evaluation = training.evaluation
        noise = evaluation.noise_multiplier * evaluation.encounters
        noise *= added_noise(result.manifest, result.history.summed()) ** 0.5
        return cls(result.history.histograms(), evaluation.edges, noise)

    def auc(self) -> Estimate:
        """The area under the ROC curve over all hospitals' test patients."""
        return self._estimate(auc_from_histogram).within(0, 1)

    def brier(self) -> Estimate:
        """The mean squared difference of prediction and outcome (Brier 1950), each prediction as its bin's middle."""
        return self._estimate(self._brier).within(0, 1)

    def positives(self) -> Estimate:
        """How many tested encounters have the outcome, as the noise lets us see it."""
        return self._estimate(lambda counts: float(counts[1].sum())).within(0, np.inf)

    def tested(self) -> Estimate:
        """How many encounters were tested; a fifth of the patients are test patients."""
        return self._estimate(lambda counts: float(counts.sum())).within(0, np.inf)

    def calibration(self) -> pd.DataFrame:
        """One row per group of neighbouring bins: predicted and observed probability, and the 95% band of the latter.

        Bins are put together until a group's count stands out from its noise.
        """
        rows, start = [], 0
        for stop in range(1, self.counts.shape[1] + 1):
            last = stop == self.counts.shape[1]
            group = self.counts[:, start:stop]
            deviation = self.noise * group.size**0.5
            if group.sum() < _CLEAR * deviation and not last:
                continue
            if group.sum() >= _CLEAR * deviation:
                rows.append(self._group(start, stop))
            start = stop
        return pd.DataFrame(rows, columns=["from", "to", "predicted", "observed", "low", "high", "count"])

    def _group(self, start: int, stop: int) -> tuple[float, ...]:
        both = self.counts[:, start:stop].sum(0)
        weights = np.maximum(both, 0)
        predicted = float(np.average(self._middles[start:stop], weights=weights))
        seen = self._estimate(lambda counts: float(counts[1, start:stop].sum() / counts[:, start:stop].sum()))
        inside = seen.within(0, 1)
        bounds = float(self._bounds[start]), float(self._bounds[stop])
        return (*bounds, predicted, inside.value, inside.low, inside.high, float(both.sum()))

    def _brier(self, counts: NDArray[np.float64]) -> float:
        errors = np.stack([self._middles**2, (1 - self._middles) ** 2])
        return float((counts * errors).sum() / counts.sum())

    def _estimate(self, statistic: Callable[[NDArray[np.float64]], float]) -> Estimate:
        deviations = np.sqrt(np.maximum(self.counts, 0) + self.noise**2)
        drawn = [statistic(self._rng.normal(self.counts, deviations)) for _ in range(_DRAWS)]
        value = statistic(self.counts)
        spread = 1.96 * float(np.std(drawn))
        return Estimate(value, value - spread, value + spread)
