"""SCAFFOLD: Karimireddy et al. (2020), SCAFFOLD: Stochastic Controlled Averaging for Federated Learning, Algorithm 1.

Hospitals that differ pull a model apart when each takes many steps of its own; SCAFFOLD corrects each step by what is
known of the difference. The server's control variate c travels with the model, as the arrays `control/NAME` beside the
parameter NAME. A hospital's own control variate c_i stays there, as what the study keeps between rounds. A hospital
returns its trained model y_i, and c + c_i⁺ - c_i in the place of c, so that the contract, the gate's norm and its noise
treat control variates as any other part of the model. The study's side is `notebooks/readmission/scaffold/control.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from datasites.wire.arrays import Arrays
from policies.errors import InvalidInput
from researcher.strategies.base import Aggregation, Described, Update
from researcher.strategies.fedavg import FedAvg

CONTROL = "control/"


@dataclass(frozen=True)
class Scaffold(Described):
    """x ← x + server_rate * mean(y_i - x), and c ← c + |S|/N * mean(c_i⁺ - c_i), over the hospitals S that answered.

    hospitals: N, all that take part in the study. weighted: means by numbers of examples, so that the optimum is that
    of all patients pooled, as with FedAvg; otherwise every hospital counts alike, as in the paper. With examples as
    weights, c is exact only while all hospitals answer.
    """

    hospitals: int
    server_rate: float = 1.0
    weighted: bool = True
    name: ClassVar[str] = "SCAFFOLD"
    min_updates: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.hospitals < 1 or not 0 < self.server_rate < math.inf:
            raise InvalidInput("SCAFFOLD needs at least one hospital, and a server rate above 0.")

    def begin(self, current: Arrays, memory: Arrays) -> Aggregation:
        """See `Strategy.begin`."""
        controls = [name for name in current if name.startswith(CONTROL)]
        if not controls or not all(_fits(current, name) for name in controls):
            raise InvalidInput(
                "The study's state is not one of SCAFFOLD.",
                f"Let initialize return an array {CONTROL}NAME of floating-point numbers for each trained NAME.",
            )
        return _Controlled(self, current)


class _Controlled:
    def __init__(self, settings: Scaffold, current: Arrays) -> None:
        self._settings, self._current = settings, current
        self._mean = FedAvg().begin(current, {})
        self._answered = 0

    def add(self, update: Update) -> None:
        examples = update.num_examples if self._settings.weighted else min(update.num_examples, 1)
        self._mean.add(Update(update.hospital, update.parameters, examples))
        self._answered += 1

    def result(self) -> tuple[Arrays, Arrays]:
        mean, _ = self._mean.result()
        if self._answered > (hospitals := self._settings.hospitals):
            raise InvalidInput(f"{self._answered} hospitals answered; SCAFFOLD was told of {hospitals}.")
        share, rate = self._answered / hospitals, self._settings.server_rate
        rates = {name: share if name.startswith(CONTROL) else rate for name in mean}
        return {name: _moved(self._current[name], array, rates[name]) for name, array in mean.items()}, {}


def _moved(before: NDArray[Any], mean: NDArray[Any], rate: float) -> NDArray[Any]:
    """Whole numbers (BatchNorm's counters) have no step of their own: they become their mean."""
    if rate == 1.0 or before.dtype.kind != "f":
        return mean
    start = before.astype(np.float64)
    return np.asarray(start + rate * (mean - start)).astype(before.dtype)


def _fits(current: Arrays, name: str) -> bool:
    """Whether a control variate stands beside a trained parameter of its shape."""
    model, control = current.get(name.removeprefix(CONTROL)), current[name]
    return model is not None and control.dtype.kind == "f" and control.shape == model.shape
