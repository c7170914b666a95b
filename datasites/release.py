"""The release gate: the only way out of a hospital. What is not exactly what the approved contract names stays."""

from __future__ import annotations

from collections.abc import Mapping

from datasites.wire.arrays import Arrays
from datasites.wire.contract import array_problems, metric_problems
from datasites.wire.manifest import OutputContract
from policies.errors import Refused


class OutputRefused(Refused):
    """The text is for the hospital's log: it names arrays and shapes, never values."""


def check_fit(parameters: Arrays, metrics: Mapping[str, float], contract: OutputContract) -> None:
    """Raises OutputRefused, naming every difference between a training result and the contract."""
    _raise(array_problems(parameters, contract.parameters) + metric_problems(metrics, contract.fit_metrics))


def check_evaluate(arrays: Arrays, metrics: Mapping[str, float], contract: OutputContract) -> None:
    """Raises OutputRefused, naming every difference between an evaluation and the contract."""
    _raise(array_problems(arrays, contract.evaluate_arrays) + metric_problems(metrics, contract.evaluate_metrics))


def check_input(parameters: Arrays, contract: OutputContract) -> None:
    """Raises OutputRefused unless a global state has the shapes that were approved."""
    _raise(array_problems(parameters, contract.parameters))


def _raise(problems: list[str]) -> None:
    if problems:
        raise OutputRefused("; ".join(problems))
