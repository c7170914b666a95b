"""A study's rehearsal on mock twins, in the hospital's own runner and through its own gate.

It fixes the output contract: the names, shapes and dtypes that the data owner then approves. This is the one module of
the researcher's library that uses parts of the hospital's side; anything else would not rehearse what will happen.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from datasites.catalog.view import study_view
from datasites.release.examine import examine
from datasites.release.terms import Terms
from datasites.runner.errors import WorkerFailed
from datasites.runner.limits import Limits
from datasites.runner.process import Worker
from datasites.runner.replies import Outcome, Task, decode_result
from datasites.runner.sandbox.choose import default_sandbox
from datasites.wire.arrays import Arrays
from datasites.wire.codecs import Pipeline
from datasites.wire.contract import describe_arrays, not_finite
from datasites.wire.limits import STAR_BYTES
from datasites.wire.outputs import OutputContract
from datasites.wire.rehearsed import RehearsalReport, RehearsedTwin
from datasites.wire.spool import Buffer
from policies.errors import InvalidInput
from researcher.cost import Cost
from researcher.dataset import Dataset
from researcher.errors import RehearsalFailed
from researcher.metrics import SCORE_HISTOGRAM
from researcher.private_statistics import PrivateStatistics
from researcher.study import Study

if TYPE_CHECKING:
    from researcher.private_study import PrivateStudy

_LOG_LINES = 25
TWINS, _METRICS, _NAME = 100, 100, 100  # most that a manifest takes of a rehearsal
_SECRET = b"no patient is in a mock twin"  # so its pseudonyms need no real secret


@dataclass(frozen=True, repr=False)
class Rehearsal:
    """What came out on the mock twins. `table` has one row per hospital; its metrics are of invented rows.

    `report` goes with the study, for its reviewers. `sandbox` names what confined the code; hospitals use "bubblewrap"
    or "Landlock", and code that passes in the one or with "process limits" alone may meet a refusal there that it did
    not meet here.
    """

    study: Study | PrivateStudy | PrivateStatistics
    fingerprint: str
    contract: OutputContract
    initial: Arrays
    table: pd.DataFrame
    report: RehearsalReport
    cost: Cost | None = None  # in privacy, of a private study

    @property
    def sandbox(self) -> str:
        """What confined the code here."""
        return self.report.sandbox

    def __repr__(self) -> str:
        size = f"at most {self.contract.max_bytes:,} bytes leave a hospital in a round"
        return f"<Rehearsal: {self.study.name}; on {len(self.table)} mock twins; {size}>"

    def _repr_html_(self) -> str:
        size = f"<p>Worst case leaving a hospital per round: {self.contract.max_bytes:,} bytes.</p>"
        if self.cost:
            return str(self.table.to_html(index=False)) + size + f"<p>{self.cost}</p>"
        where = f"<p>Rehearsed in: {self.sandbox}; hospitals use bubblewrap or Landlock.</p>"
        stays = self.contract.stays_bytes
        kept = f"<p>Kept at each hospital between rounds: {stays:,} bytes.</p>" if stays else ""
        return str(self.table.to_html(index=False)) + size + kept + where


@dataclass(frozen=True)
class _Call:
    """One call of the study's function: the frame that came back, what is in it, and how long it took."""

    task: Task
    frame: Buffer
    outcome: Outcome
    seconds: float


def rehearse(study: Study, datasets: Sequence[Dataset]) -> Rehearsal:
    """Runs initialize, then fit and evaluate on each hospital's twin.

    Raises RehearsalFailed with the code's own traceback, or when the outputs differ between hospitals.
    """
    if not datasets:
        raise InvalidInput(f"No hospital shows a dataset {study.dataset!r}.", "List them with federation.datasets().")
    rows: list[dict[str, Any]] = []
    twins: list[RehearsedTwin] = []
    contract: OutputContract | None = None
    initial: Arrays | None = None
    for dataset in datasets:
        initial, calls = _run(study, dataset, initial)
        fitted, evaluated = calls[-2:]
        contract = contract or contract_of(initial, fitted.outcome, evaluated.outcome, study.compression)
        for call in calls:
            _pass_gate(dataset, call, contract)
        rows.append(_row(dataset, fitted, evaluated))
        twins.append(_twin(dataset, fitted, evaluated))
    if contract is None or initial is None:
        raise RehearsalFailed("Nothing was rehearsed.")
    fingerprint = study.fingerprint(datasets[0].dictionary)
    report = RehearsalReport(sandbox=default_sandbox(private=False).name, twins=tuple(twins[:TWINS]))
    return Rehearsal(study, fingerprint, contract, initial, pd.DataFrame(rows), report)


def _run(study: Study, dataset: Dataset, initial: Arrays | None) -> tuple[Arrays, list[_Call]]:
    with tempfile.TemporaryDirectory(prefix="wardround-rehearsal-") as scratch:
        root = Path(scratch)
        for path, data in study.files().items():
            target = root / "code" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        columns = study.columns_of(dataset.dictionary)
        study_view(dataset.twin, dataset.dictionary, columns, _SECRET).to_parquet(root / "twin.parquet", index=False)
        try:
            return _calls(root, study, initial)
        except WorkerFailed as failure:
            raise RehearsalFailed(
                f"On the mock twin of {dataset.hospital_name}: {failure.message}\n{tail(root / 'log')}", failure.hint
            ) from None


def _calls(root: Path, study: Study, initial: Arrays | None) -> tuple[Arrays, list[_Call]]:
    """The initial state; and fit and evaluate, the last two calls. What keeps arrays at the hospital is called for two
    rounds: in the first there are none yet, in the second those of the first."""
    # what leaves of it hospitals limit: this is the researcher's own machine
    limits = Limits(seconds_per_round=study.seconds_per_round, output_bytes=STAR_BYTES)
    config = dict(study.config)
    with Worker.start(
        code=root / "code",
        table=root / "twin.parquet",
        scratch=root / "scratch",
        log=root / "log",
        limits=limits,
        sandbox=default_sandbox(private=False),
        processes=study.processes,
    ) as worker:
        if missing := {"initialize", "fit", "evaluate"} - worker.functions:
            raise InvalidInput(f"study.py does not define {', '.join(sorted(missing))}.")
        if initial is None:
            initial = _call(worker, "initialize", {}, {**config, "round": 0}).outcome.parameters
        first = {**config, "round": 1}
        calls = [_call(worker, "fit", initial, first)]
        if calls[0].outcome.kept:
            second, left = {**config, "round": 2}, calls[0].outcome
            calls.insert(0, _call(worker, "evaluate", initial, first))
            calls.append(_call(worker, "fit", left.parameters, second, left.kept))
            left = calls[-1].outcome
            return initial, [*calls, _call(worker, "evaluate", left.parameters, second, left.kept)]
        return initial, [*calls, _call(worker, "evaluate", calls[0].outcome.parameters, first)]


def _call(worker: Worker, task: Task, parameters: Arrays, config: dict[str, Any], kept: Arrays | None = None) -> _Call:
    began = time.perf_counter()
    frame = worker.call(task, parameters, config, kept=kept or {})
    try:
        return _Call(task, frame, decode_result(task, frame), time.perf_counter() - began)
    except InvalidInput as problem:
        raise RehearsalFailed(f"{task} returns what is no result: {problem.message}") from None


def contract_of(initial: Arrays, fitted: Outcome, evaluated: Outcome, compression: str = "") -> OutputContract:
    """What may leave in a round, as these outputs have it. Raises RehearsalFailed for what no contract can hold."""
    if fitted.arrays:
        name = next(iter(fitted.arrays))
        raise RehearsalFailed(f"fit returns the array metric {name!r}.", "Return it from evaluate.")
    if problems := not_finite(initial):
        raise RehearsalFailed(f"initialize returns what cannot be trained: {'; '.join(problems)}.")
    histogram = evaluated.arrays.get(SCORE_HISTOGRAM)
    if histogram is not None and (histogram.dtype != np.int64 or histogram.ndim != 2 or len(histogram) != 2):
        raise RehearsalFailed(
            f"The metric {SCORE_HISTOGRAM!r} is {histogram.dtype}{histogram.shape}.",
            "It must be int64 of shape (2, bins): counts of negatives and of positives by score.",
        )
    if compression:
        Pipeline.parse(compression)
    return OutputContract(
        parameters=describe_arrays(initial),
        fit_metrics=tuple(sorted(fitted.metrics)),
        evaluate_metrics=tuple(sorted(evaluated.metrics)),
        evaluate_arrays=describe_arrays(evaluated.arrays),
        kept=describe_arrays(fitted.kept),
        compression=compression,
    )


def _pass_gate(dataset: Dataset, call: _Call, contract: OutputContract) -> None:
    verdict = examine(call.task, call.frame, {}, 0, Terms(contract=contract))
    if verdict.released is None:
        raise RehearsalFailed(
            f"On the mock twin of {dataset.hospital_name} the outputs are not those of initialize, or of another "
            f"hospital: {'; '.join(verdict.details)}."
        )


def _row(dataset: Dataset, fitted: _Call, evaluated: _Call) -> dict[str, Any]:
    return {
        "hospital": dataset.hospital_name,
        "fit_seconds": round(fitted.seconds, 2),
        "evaluate_seconds": round(evaluated.seconds, 2),
        "train_examples": fitted.outcome.num_examples,
        "test_examples": evaluated.outcome.num_examples,
        **{f"mock_{name}": value for name, value in evaluated.outcome.metrics.items()},
    }


def _twin(dataset: Dataset, fitted: _Call, evaluated: _Call) -> RehearsedTwin:
    return RehearsedTwin(
        hospital=dataset.hospital,
        fit_seconds=round(fitted.seconds, 2),
        evaluate_seconds=round(evaluated.seconds, 2),
        train_examples=fitted.outcome.num_examples,
        test_examples=evaluated.outcome.num_examples,
        fit_metrics=_shortened(fitted.outcome.metrics),
        evaluate_metrics=_shortened(evaluated.outcome.metrics),
    )


def _shortened(metrics: dict[str, float]) -> dict[str, float]:
    """As a reader needs them; a study of many metrics is reported in part."""
    kept = [(name, value) for name, value in sorted(metrics.items()) if len(name) <= _NAME][:_METRICS]
    return {name: float(f"{value:.6g}") for name, value in kept}


def tail(log: Path) -> str:
    """The last lines of what the study printed."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-_LOG_LINES:])
