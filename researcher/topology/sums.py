"""What a region says of its hospitals' answers to one message: means weighted by examples, and added histograms."""

from __future__ import annotations

import math

import numpy as np

from datasites.wire.arrays import Arrays
from datasites.wire.rounds import EvaluateReport, FitReport
from researcher.exchange import Answer
from researcher.metrics import SCORE_HISTOGRAM, weighted_mean
from researcher.strategies import Update
from researcher.strategies.fedavg import WeightedMean
from researcher.strategies.layout import Layout


class Sums:
    """Takes usable answers one by one, and keeps no update."""

    def __init__(self, state: Arrays) -> None:
        self._layout = Layout(state)
        self._mean = WeightedMean(self._layout)
        self._fits: list[FitReport] = []
        self._evaluations: list[EvaluateReport] = []
        self._histograms: list[Arrays] = []
        self.answers = 0

    def add(self, answer: Answer) -> None:
        self.answers += 1
        reply = answer.reply
        if reply and reply.fit:
            self._mean.add(Update(answer.hospital, answer.parameters, reply.fit.num_examples))
            self._fits.append(reply.fit)
        if reply and reply.evaluate:
            self._evaluations.append(reply.evaluate)
            self._histograms.append(answer.metrics)

    def mean(self) -> Arrays:
        return self._layout.arrays(self._mean.mean())

    def fit(self) -> FitReport:
        return FitReport(num_examples=sum(r.num_examples for r in self._fits), metrics=_means(self._fits))

    def evaluate(self) -> EvaluateReport:
        examples = sum(r.num_examples for r in self._evaluations)
        return EvaluateReport(num_examples=examples, metrics=_means(self._evaluations))

    @property
    def histogram(self) -> Arrays | None:
        found = [metrics[SCORE_HISTOGRAM] for metrics in self._histograms if SCORE_HISTOGRAM in metrics]
        return {SCORE_HISTOGRAM: np.sum(found, axis=0, dtype=found[0].dtype)} if found else None


def _means(reports: list[FitReport] | list[EvaluateReport]) -> dict[str, float]:
    """Metrics that every hospital of the region gave: one that few gave would be theirs."""
    names = set.intersection(*(set(report.metrics) for report in reports))
    weights = [report.num_examples for report in reports]
    means = {name: weighted_mean([report.metrics[name] for report in reports], weights) for name in sorted(names)}
    return {name: value for name, value in means.items() if math.isfinite(value)}
