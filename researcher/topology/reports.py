"""What hospitals report of a study without a centre, on the researcher's disk: one file for each hospital and round.

They are held to the contract here too: one bad answer must not spoil what is made of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasites.wire import keys
from datasites.wire.arrays import Arrays
from datasites.wire.contract import array_problems, metric_problems
from datasites.wire.files import private_folder, write_atomically
from datasites.wire.gossip.messages import Report, decode_report
from datasites.wire.manifest import Manifest
from datasites.wire.outputs import OutputContract
from datasites.wire.reasons import FINAL
from researcher.history import History
from researcher.metrics import SCORE_HISTOGRAM
from researcher.strategies.layout import Layout, Vector

_FILE = re.compile(r"(\d{6})-(.+)")


@dataclass(frozen=True)
class Told:
    """One report, and what is wrong with it; then there is nothing else in it."""

    report: Report
    model: Arrays
    histogram: list[list[int]] | None
    problem: str


class Reports:
    """Of one study, in its folder."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder = private_folder(folder / "gossip")
        self._manifest = manifest
        self._latest: dict[str, Report] = {}
        for number, hospital in self._all():
            self._latest[hospital] = self.read(number, hospital).report

    def add(self, report: Report, plaintext: bytes) -> None:
        """Keeps what a hospital has signed, as it is."""
        write_atomically(self._path(report.number, report.hospital), plaintext)
        latest = self._latest.get(report.hospital)
        if latest is None or report.number > latest.number:
            self._latest[report.hospital] = report

    def has(self, number: int, hospital: str) -> bool:
        return self._path(number, hospital).exists()

    def latest(self, hospital: str) -> Report | None:
        return self._latest.get(hospital)

    def is_over(self, hospital: str) -> bool:
        """Whether it has said its last, or why it takes no further part."""
        latest = self._latest.get(hospital)
        return latest is not None and (latest.last or latest.reason in FINAL)

    def read(self, number: int, hospital: str) -> Told:
        report, model, metrics = decode_report(self._path(number, hospital).read_bytes())
        contract = self._manifest.outputs
        if problems := _problems(report, model, metrics, contract):
            bare = report.model_copy(update={"fit": None, "evaluate": None})
            return Told(bare, {}, None, "; ".join(problems))
        histogram = metrics[SCORE_HISTOGRAM].tolist() if SCORE_HISTOGRAM in metrics else None
        return Told(report, model, histogram, report.reason.text if report.reason else "")

    def models(self) -> dict[str, Arrays]:
        """Each hospital's newest one."""
        newest: dict[str, Arrays] = {}
        for number, hospital in self._all():
            if model := self.read(number, hospital).model:
                newest[hospital] = model
        return newest

    def history(self, label: Callable[[str], str]) -> History:
        """With the distances between models, wherever several of one round were told."""
        records: list[dict[str, Any]] = []
        by_number: dict[int, list[str]] = {}
        for number, hospital in self._all():
            by_number.setdefault(number, []).append(hospital)
        met: set[str] = set()
        for number, hospitals in sorted(by_number.items()):
            told = {hospital: self.read(number, hospital) for hospital in hospitals}
            distances = _distances({h: one.model for h, one in told.items() if one.model})
            after = max(one.report.after for one in told.values())
            for hospital, one in told.items():
                record = _record(one, first=hospital not in met)
                if hospital in distances:
                    record |= {"distance": distances[hospital], "mixed_round": after}
                records.append(record)
                met.add(hospital)
        return History(records, label)

    def _all(self) -> list[tuple[int, str]]:
        found = [_FILE.fullmatch(path.name) for path in self._folder.iterdir()]
        return sorted((int(m[1]), keys.decode(m[2])) for m in found if m)

    def _path(self, number: int, hospital: str) -> Path:
        return self._folder / f"{number:06d}-{keys.encode(hospital)}"


def _problems(report: Report, model: Arrays, metrics: Arrays, contract: OutputContract) -> list[str]:
    problems = array_problems(model, contract.parameters if model else {})
    problems += array_problems(metrics, contract.evaluate_arrays if report.evaluate else {})
    if report.fit:
        problems += metric_problems(report.fit.metrics, contract.fit_metrics)
    if report.evaluate:
        problems += metric_problems(report.evaluate.metrics, contract.evaluate_metrics)
    return problems


def _record(told: Told, first: bool) -> dict[str, Any]:
    """See `history.record_of`. Only the start came from the researcher, and only reported models went there."""
    report = told.report
    return {
        "message": report.number,
        "evaluated_round": report.after,
        "trained_round": None if report.last else report.number,
        "hospital": report.hospital,
        "problem": told.problem,
        "seconds": report.seconds,
        "fit": report.fit.model_dump() if report.fit else None,
        "evaluate": report.evaluate.model_dump() if report.evaluate else None,
        "histogram": told.histogram,
        "asked": first,
        "models": int(bool(told.model)),
        "heard": len(report.heard),
    }


def _distances(models: dict[str, Arrays]) -> dict[str, float]:
    """Of each model to the mean of all, Euclidean, of weights."""
    if len(models) < 2:
        return {}
    layout = Layout(next(iter(models.values())))
    vectors: dict[str, Vector] = {hospital: layout.vector(model) for hospital, model in models.items()}
    mean = np.mean(list(vectors.values()), axis=0)
    return {h: float(np.linalg.norm((vector - mean)[layout.weights])) for h, vector in vectors.items()}
