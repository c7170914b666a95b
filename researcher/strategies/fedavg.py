"""FedAvg: McMahan et al. (2017), Communication-Efficient Learning of Deep Networks from Decentralized Data."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasites.wire.arrays import Arrays
from policies.errors import InvalidInput
from researcher.errors import RoundFailed
from researcher.strategies.base import Aggregation, Update


class FedAvg:
    """The mean of the hospitals' parameters, weighted by their numbers of examples.

    Sums are kept in float64. BatchNorm's running mean and variance are averaged like weights; whole-number buffers
    (`num_batches_tracked`) and booleans are averaged and rounded.
    """

    name = "FedAvg"

    def begin(self, current: Arrays) -> Aggregation:
        return _WeightedMean(current)


class _WeightedMean:
    def __init__(self, current: Arrays) -> None:
        self._like = current
        self._sums = {name: np.zeros(array.shape, np.float64) for name, array in current.items()}
        self._weight = 0

    def add(self, update: Update) -> None:
        if update.num_examples < 1 or update.parameters.keys() != self._sums.keys():
            raise InvalidInput(f"The update of {update.hospital} does not fit the model.")
        if other := [name for name, array in update.parameters.items() if array.shape != self._sums[name].shape]:
            raise InvalidInput(f"The update of {update.hospital} has another shape for {', '.join(other)}.")
        for name, array in update.parameters.items():
            self._sums[name] += array * np.float64(update.num_examples)
        self._weight += update.num_examples

    def result(self) -> Arrays:
        if self._weight == 0:
            raise RoundFailed("There is no update to aggregate.")
        return {name: _cast(total / self._weight, self._like[name].dtype) for name, total in self._sums.items()}


def _cast(mean: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.asarray(mean if dtype.kind == "f" else np.rint(mean)).astype(dtype)  # NumPy makes scalars of () arrays
