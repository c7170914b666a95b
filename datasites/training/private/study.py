"""A study of the private tier at one hospital: the approved request and the hospital's rows, ready for rounds."""

from __future__ import annotations

import importlib
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from datasites.training.prepare import prepare
from datasites.training.private.evaluation import evaluate
from datasites.training.private.loop import train
from datasites.training.private.marginals import TrustedMarginals
from datasites.training.private.patients import Patients, split
from datasites.training.private.randomness import SecureRandom
from datasites.training.private.statistics import TrustedStatistics
from datasites.wire.arrays import Arrays
from datasites.wire.marginals import Marginals
from datasites.wire.statistics import Statistics
from datasites.wire.training import HISTOGRAM, Training
from datasites.wire.work import Work
from policies.privacy.sharing import Sharing

Task = Literal["fit", "evaluate"]


def trusted(document: bytes, view: pd.DataFrame) -> TrustedStudy | TrustedStatistics | TrustedMarginals:
    """What is asked in this JSON document (see `wire.work`), on these rows."""
    work = Work.model_validate_json(document)
    asked, sharing = work.asked, work.sharing
    if sharing:
        importlib.import_module("opendp.prelude")  # takes seconds, which the process of each call would spend again
    return TrustedStudy(asked, view, sharing) if isinstance(asked, Training) else counting(asked, view, sharing)


def counting(
    asked: Statistics | Marginals, view: pd.DataFrame, sharing: Sharing | None = None
) -> TrustedStatistics | TrustedMarginals:
    """A study that only counts, on these rows."""
    return TrustedStatistics(asked, view, sharing) if isinstance(asked, Statistics) else TrustedMarginals(asked, view)


class TrustedStudy:
    """Answers as a study's own `fit` and `evaluate` do. Every call has noise of its own: answer a round only once."""

    def __init__(self, training: Training, view: pd.DataFrame, sharing: Sharing | None = None) -> None:
        self._training, self._sharing = training, sharing
        for_training, for_test = split(prepare(view, training.preparation))
        self.training_rows = len(for_training)  # private, but for a mock twin's
        self._patients = Patients(for_training, training.encounters)
        self._test = Patients(for_test, training.evaluation.encounters) if training.evaluation else None

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What it can be asked for."""
        return ("fit", "evaluate") if self._test else ("fit",)

    def fit(self, parameters: Arrays) -> tuple[Arrays, int, dict[str, float]]:
        """(parameters, weight, no metrics).

        The weight is a public constant, alike at all hospitals. A hospital with more patients needs no greater one: the
        sums of its gradients, which are divided by one and the same constant everywhere, are larger already.
        """
        trained = train(parameters, self._patients, self._training, SecureRandom.fresh())
        return trained, max(1, round(self._training.expected_lot)), {}

    def evaluate(self, parameters: Arrays) -> tuple[int, dict[str, NDArray[np.int64]]]:
        """(number of encounters counted, the histogram); both with the histogram's noise."""
        if self._test is None:
            raise ValueError("the study has no evaluation")
        counts = evaluate(parameters, self._test, self._training, SecureRandom.fresh(), self._sharing)
        if self._sharing:
            return 1, {HISTOGRAM: counts}  # of one hospital nothing is told, not even how many were counted
        return max(1, int(counts.sum())), {HISTOGRAM: counts}
