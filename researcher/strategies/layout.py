"""A model as one long vector, and back. Written once here: what is a weight, and what becomes of everything else.

*Weights* are what training moves by gradients. *Buffers* are the rest: whole numbers, booleans, and BatchNorm's running
mean and variance, told by PyTorch's names for them. A server optimizer's step could make a variance negative, and a
count of batches would drown every distance between models; so optimizers step, and Krum measures, on weights alone.
Buffers get the mean (or median, ...) of the hospitals', and whole numbers and booleans are then rounded.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasites.wire.arrays import Arrays, all_finite, steps
from datasites.wire.codecs.buffers import is_buffer
from policies.errors import InvalidInput
from researcher.errors import RoundFailed
from researcher.strategies.base import Update

Vector = NDArray[np.float64]


class Layout:
    """Where each array of a model lies in a float64 vector of shape (size,): in the order of names, for a strategy's
    memory is read back after a restart."""

    def __init__(self, like: Arrays) -> None:
        self._like = {name: like[name] for name in sorted(like)}
        self.size = sum(math.prod(array.shape) for array in self._like.values())

    @cached_property
    def weights(self) -> NDArray[np.bool_]:
        """bool of shape (size,), False for buffers."""
        kinds = [np.full(array.size, is_weight(name, array)) for name, array in self._like.items()]
        return np.concatenate(kinds) if kinds else np.zeros(0, np.bool_)

    def of_update(self, update: Update) -> Vector:
        """Raises as `check` does."""
        self.check(update)
        return self.vector(update.parameters)

    def check(self, update: Update) -> None:
        """Raises InvalidInput where names or shapes are not the model's, or no example stands behind it."""
        if update.num_examples < 1 or update.parameters.keys() != self._like.keys():
            raise InvalidInput(f"The update of {update.hospital} does not fit the model.")
        if other := [name for name, array in self._like.items() if update.parameters[name].shape != array.shape]:
            raise InvalidInput(f"The update of {update.hospital} has another shape for {', '.join(other)}.")

    def vector(self, arrays: Arrays) -> Vector:
        parts = [np.asarray(arrays[name], np.float64).ravel() for name in self._like]
        return np.concatenate(parts) if parts else np.zeros(0)

    def arrays(self, vector: Vector) -> Arrays:
        """Raises RoundFailed where a value is not finite, or too large for its array's dtype."""
        out = {name: _cast(part, self._like[name].dtype) for name, part in self.parts(vector).items()}
        _check_finite(out)
        return out

    def arrays_in_place(self, vector: Vector) -> Arrays:
        """The same, in the memory of `vector`, which is given away: no number is written behind where it is read."""
        memory, out, end = vector.view(np.uint8), {}, 0
        for name, part in self.parts(vector).items():
            like = self._like[name]
            begin, end = end, end + like.nbytes
            out[name] = memory[begin:end].view(like.dtype).reshape(like.shape)
            for source, target in steps(part, out[name]):
                target[:] = _cast(source, like.dtype)
            end += -end % 8  # where the next array's numbers lie, at the latest
        _check_finite(out)
        return out

    def parts(self, vector: Vector) -> Arrays:
        """The vector by arrays' names and shapes, still in float64 and with nothing rounded."""
        out, start = {}, 0
        for name, like in self._like.items():
            out[name] = vector[start : start + like.size].reshape(like.shape)
            start += like.size
        return out


def is_weight(name: str, array: NDArray[Any]) -> bool:
    """Whether gradients move it; otherwise it is a buffer."""
    return array.dtype.kind == "f" and not is_buffer(name)


def _check_finite(arrays: Arrays) -> None:
    if wild := [name for name, array in arrays.items() if not all_finite(array)]:
        raise RoundFailed(f"The new state is too large to be a number in {', '.join(wild)}.", "Take smaller steps.")


def _cast(part: Vector, dtype: np.dtype[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):  # told by the caller
        return np.asarray(part if dtype.kind == "f" else np.rint(part)).astype(dtype)
