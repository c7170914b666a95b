"""FedAvg: McMahan et al. (2017), Communication-Efficient Learning of Deep Networks from Decentralized Data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasites.wire.arrays import Arrays
from policies.errors import InvalidInput
from researcher.errors import RoundFailed
from researcher.strategies.base import Aggregation, Update


class FedAvg:
    """The mean of the hospitals' parameters, weighted by the numbers of examples that they report, or by `weights`: by
    hospital's address, a number above 0, such as a private estimate (`Counts.weights`).

    Sums are kept in float64. BatchNorm's running mean and variance are averaged like weights; whole-number buffers
    (`num_batches_tracked`) and booleans are averaged and rounded.
    """

    name = "FedAvg"

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        if weights is not None and not all(0 < weight < float("inf") for weight in weights.values()):
            raise InvalidInput("Each weight must be a number above 0.")
        self._weights = dict(weights) if weights is not None else None

    def begin(self, current: Arrays) -> Aggregation:
        return _WeightedMean(current, self._weights)


class _WeightedMean:
    def __init__(self, current: Arrays, weights: Mapping[str, float] | None) -> None:
        self._like, self._weights = current, weights
        self._sums = {name: np.zeros(array.shape, np.float64) for name, array in current.items()}
        self._weight = 0.0

    def add(self, update: Update) -> None:
        if update.num_examples < 1 or update.parameters.keys() != self._sums.keys():
            raise InvalidInput(f"The update of {update.hospital} does not fit the model.")
        if other := [name for name, array in update.parameters.items() if array.shape != self._sums[name].shape]:
            raise InvalidInput(f"The update of {update.hospital} has another shape for {', '.join(other)}.")
        weight = self._weight_of(update)
        for name, array in update.parameters.items():
            self._sums[name] += array * np.float64(weight)
        self._weight += weight

    def _weight_of(self, update: Update) -> float:
        if self._weights is None:
            return update.num_examples
        if update.hospital not in self._weights:
            raise InvalidInput(f"There is no weight for {update.hospital}.", "Give one for each hospital.")
        return self._weights[update.hospital]

    def result(self) -> Arrays:
        if self._weight == 0:
            raise RoundFailed("There is no update to aggregate.")
        return {name: _cast(total / self._weight, self._like[name].dtype) for name, total in self._sums.items()}


def _cast(mean: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.asarray(mean if dtype.kind == "f" else np.rint(mean)).astype(dtype)  # NumPy makes scalars of () arrays
