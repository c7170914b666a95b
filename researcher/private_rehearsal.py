"""The rehearsal of a private study on mock twins: the hospital's own training, run here on invented rows.

No study code is involved, so it needs no sandbox. What it shows is that hospitals can build the model and prepare the
table, and what they will return; on a mock twin there is nothing to learn.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pandas as pd

from datasites.catalog.view import study_view
from datasites.training.private.study import TrustedStudy, counting
from datasites.wire.contract import array_problems
from datasites.wire.rehearsed import RehearsalReport, RehearsedTwin
from policies.errors import InvalidInput
from researcher.dataset import Dataset
from researcher.errors import RehearsalFailed
from researcher.private_statistics import PrivateStatistics
from researcher.private_study import PrivateStudy
from researcher.rehearsal import TWINS, Rehearsal

_SECRET = b"no patient is in a mock twin"  # so its pseudonyms need no real secret


def rehearse_private(study: PrivateStudy | PrivateStatistics, datasets: Sequence[Dataset]) -> Rehearsal:
    """One round on each hospital's twin, with all its noise. Raises InvalidInput, RehearsalFailed."""
    if not datasets:
        raise InvalidInput(f"No hospital shows a dataset {study.dataset!r}.", "List them with federation.datasets().")
    twins = [_rehearsed(study, dataset) for dataset in datasets]
    rows = [{"hospital": d.hospital_name, **_shown(twin)} for d, twin in zip(datasets, twins, strict=True)]
    dictionary = datasets[0].dictionary
    fingerprint, contract = study.fingerprint(dictionary), study.contract(dictionary)
    report = RehearsalReport(sandbox="none: no study code runs", twins=tuple(twins[:TWINS]))
    return Rehearsal(study, fingerprint, contract, study.initial, pd.DataFrame(rows), report, study.cost())


def _shown(twin: RehearsedTwin) -> dict[str, Any]:
    return {
        "fit_seconds": twin.fit_seconds,
        "evaluate_seconds": twin.evaluate_seconds,
        "mock_rows": twin.train_examples + twin.test_examples,
    }


def _rehearsed(study: PrivateStudy | PrivateStatistics, dataset: Dataset) -> RehearsedTwin:
    return _counted(study, dataset) if isinstance(study, PrivateStatistics) else _trained(study, dataset)


def _counted(study: PrivateStatistics, dataset: Dataset) -> RehearsedTwin:
    statistics, started = study.statistics(dataset.dictionary), time.monotonic()
    view = study_view(dataset.twin, dataset.dictionary, statistics.columns, _SECRET)
    counting(statistics, view).evaluate({})
    return _twin(dataset, (0.0, time.monotonic() - started), (0, len(view)))


def _trained(study: PrivateStudy, dataset: Dataset) -> RehearsedTwin:
    training, contract = study.training(dataset.dictionary), study.contract(dataset.dictionary)
    view = study_view(dataset.twin, dataset.dictionary, training.preparation.columns, _SECRET)
    trusted = TrustedStudy(training, view)
    started = time.monotonic()
    parameters, _, _ = trusted.fit(study.initial)
    fitted = time.monotonic()
    problems = array_problems(parameters, contract.parameters)
    if training.evaluation:
        _, metrics = trusted.evaluate(parameters)
        problems += array_problems(metrics, contract.evaluate_arrays)
    if problems:
        raise RehearsalFailed(
            f"On the mock twin of {dataset.hospital_name}: {'; '.join(problems)}.", "A smaller learning rate may help."
        )
    rows = (trusted.training_rows, len(view) - trusted.training_rows)
    return _twin(dataset, (fitted - started, time.monotonic() - fitted), rows)


def _twin(dataset: Dataset, seconds: tuple[float, float], rows: tuple[int, int]) -> RehearsedTwin:
    """Each for training and for tests."""
    return RehearsedTwin(
        hospital=dataset.hospital,
        fit_seconds=round(seconds[0], 2),
        evaluate_seconds=round(seconds[1], 2),
        train_examples=rows[0],
        test_examples=rows[1],
        fit_metrics={},
        evaluate_metrics={},
    )
