"""The hospital's own training, broken on purpose: each way of getting differential privacy wrong that people do get.

What is broken is replaced for a moment, in the test alone; all else is the real loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from unittest import mock

import numpy as np
from torch import Tensor

from datasites.release import noise as release_noise
from datasites.training.clipping import ClippedBatch, ClippedSum, clipped_sum
from datasites.training.graph import GraphModule
from datasites.training.losses import Loss
from datasites.training.private import evaluation, loop, marginals, statistics
from datasites.training.private.patients import Patients
from datasites.training.private.randomness import SecureRandom, noisy_counts, noisy_sum

_HUGE = 1e12
_LOT = 250  # of the study under attack
_draw, _init = Patients.draw, Patients.__init__


@dataclass(frozen=True)
class Variant:
    """`parts` maps what is replaced, an object and the name of its attribute, to what replaces it."""

    name: str
    parts: Mapping[tuple[object, str], Callable[..., object]]

    @contextmanager
    def in_place(self) -> Iterator[None]:
        with ExitStack() as stack:
            for (owner, attribute), replacement in self.parts.items():
                stack.enter_context(mock.patch.object(owner, attribute, replacement))
            yield


def _no_noise(total: np.ndarray, *_: object) -> np.ndarray:
    return total


def _noise_over_lot(total: np.ndarray, clip: float, noise: float, random: SecureRandom) -> np.ndarray:
    return noisy_sum(total, clip, noise / _LOT, random)


def _noise_without_clip(total: np.ndarray, clip: float, noise: float, random: SecureRandom) -> np.ndarray:
    return noisy_sum(total, 1.0, noise, random)


def _lot_clipped(total: np.ndarray, clip: float, noise: float, random: SecureRandom) -> np.ndarray:
    """The lot's sum is clipped as a whole after it was averaged, and the noise divided by the lot."""
    mean = total / _LOT
    return noisy_sum(mean * min(1.0, clip / float(np.linalg.norm(mean))), clip, noise / _LOT, random) * _LOT


def _noise_by_number(total: np.ndarray, clip: float, noise: float, random: SecureRandom) -> np.ndarray:
    return noisy_sum(total, clip, noise / total.size, random)


def _as_it_came(moved: np.ndarray, clip: float) -> np.ndarray:
    return moved


def _no_clip(module: GraphModule, loss: Loss, clip: float) -> ClippedSum:
    return clipped_sum(module, loss, _HUGE)


def _clip_by_row(module: GraphModule, loss: Loss, clip: float) -> ClippedSum:
    inner = clipped_sum(module, loss, clip)

    def by_row(inputs: Tensor, targets: Tensor, present: Tensor) -> ClippedBatch:
        return inner(inputs.flatten(0, 1)[:, None], targets.flatten()[:, None], present.flatten()[:, None])

    return by_row


def _everybody(self: Patients, rate: float, random: SecureRandom) -> object:
    return _draw(self, 1.0, random)


def _all_encounters(self: Patients, rows: object, encounters: int) -> None:
    _init(self, rows, 50)  # type: ignore[arg-type]


def _exact_counts(counts: np.ndarray, *_: object) -> np.ndarray:
    return counts


def _small_noise(counts: np.ndarray, sensitivity: float, noise: float, random: SecureRandom) -> np.ndarray:
    return noisy_counts(counts, sensitivity, noise / counts.size, random)


TRAINING = (
    Variant("noise off", {(loop, "noisy_sum"): _no_noise}),
    Variant("noise divided by the lot twice", {(loop, "noisy_sum"): _noise_over_lot}),
    Variant("noise not multiplied by the clip", {(loop, "noisy_sum"): _noise_without_clip}),
    Variant("no clipping", {(loop, "clipped_sum"): _no_clip}),
    Variant("clipping by encounter, not by patient", {(loop, "clipped_sum"): _clip_by_row}),
    Variant(
        "the lot clipped as a whole, noise over the lot",
        {(loop, "clipped_sum"): _no_clip, (loop, "noisy_sum"): _lot_clipped},
    ),
)
PLAIN = Variant("neither noise nor clipping", {(loop, "noisy_sum"): _no_noise, (loop, "clipped_sum"): _no_clip})
EVERYBODY = Variant("everybody in every lot, charged as sampled", {(Patients, "draw"): _everybody})
GATE = (
    Variant("gate noise off", {(release_noise, "noisy_sum"): _no_noise}),
    Variant("gate noise over the numbers", {(release_noise, "noisy_sum"): _noise_by_number}),
    Variant("gate noise without clipping", {(release_noise, "clipped"): _as_it_came}),
)
EVALUATION = (
    Variant("histogram without noise", {(evaluation, "noisy_counts"): _exact_counts}),
    Variant("histogram's noise divided by the bins", {(evaluation, "noisy_counts"): _small_noise}),
    Variant("histogram of all encounters, charged as one", {(Patients, "__init__"): _all_encounters}),
)
COUNTS = (
    Variant("counts without noise", {(statistics, "noisy_sum"): _no_noise}),
    Variant("counts' noise divided by the numbers", {(statistics, "noisy_sum"): _noise_by_number}),
    Variant("counts of all encounters, charged as one", {(Patients, "__init__"): _all_encounters}),
)
MARGINALS = (
    Variant("marginals without noise", {(marginals, "noisy_counts"): _exact_counts}),
    Variant("marginals' noise divided by the cells", {(marginals, "noisy_counts"): _small_noise}),
    Variant("marginals of all encounters, charged as one", {(Patients, "__init__"): _all_encounters}),
)
