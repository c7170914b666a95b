"""Which patients, and which of their encounters, take part: the split, and the lot of a step.

The unit of privacy is the patient. Every number below that leaves the hospital changes by a bounded amount when one
patient, with all encounters, is taken out of the table; where a table has one row a person, that is the row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasites.training.prepare import Floats, Rows
from datasites.training.private.randomness import SecureRandom

TEST_SHARE = 0.2
CHUNK = 256  # patients; lots are worked on in blocks of this size, the last one filled up with nobody
_SPLIT = b"wardround test patients v1"


def split(rows: Rows) -> tuple[Rows, Rows]:
    """(training, test). A test patient never trains: not in this study and in no other of the private tier.

    The side is a function of the pseudonym alone, which is the patient key under a secret of the hospital's (HMAC), so
    it is fixed for good, and nobody outside can work it out. One in five patients is a test patient.

    A patient's rows therefore meet the events of training or those of evaluation, never both. The ledger does not make
    use of that: it charges both to everybody, which is never below the truth.
    """
    patients, codes = np.unique(rows.patients, return_inverse=True)
    is_test = np.array([_place(int(patient)) < TEST_SHARE for patient in patients], np.bool_)[codes]
    return rows.of(~is_test), rows.of(is_test)


def _place(patient: int) -> float:
    """In [0, 1), uniform."""
    digest = hashlib.blake2b(patient.to_bytes(8, "big", signed=True), key=_SPLIT, digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


@dataclass(frozen=True)
class Lot:
    """Encounters of some patients: `inputs` [patients, k, width], `targets` [patients, k] and `present` [patients, k],
    which is false where a patient has fewer than k encounters. Where it is false the others are 0."""

    inputs: Floats
    targets: Floats
    present: NDArray[np.bool_]


class Patients:
    """Rows by patient. `encounters` (k) is the most that a patient contributes to a lot."""

    def __init__(self, rows: Rows, encounters: int) -> None:
        order = np.argsort(rows.patients, kind="stable")
        _, self._starts, self._counts = np.unique(rows.patients[order], return_index=True, return_counts=True)
        # a last row of zeros stands for an absent encounter
        self._inputs = np.concatenate([rows.inputs[order], np.zeros((1, rows.inputs.shape[1]), np.float32)])
        self._targets = np.concatenate([rows.targets[order], np.zeros(1, np.float32)])
        self._encounters = encounters

    def draw(self, rate: float, random: SecureRandom) -> Iterator[Lot]:
        """A Poisson sample: each patient by itself with probability `rate`, each with at most k encounters, chosen
        uniformly without replacement. In blocks of 256 patients; an empty lot is a block of nobody."""
        chosen = np.flatnonzero(random.chosen(len(self._counts), rate))
        index = self._bounded(chosen, random)
        for start in range(0, max(1, len(index)), CHUNK):
            block = index[start : start + CHUNK]
            nobody = np.full((CHUNK - len(block), self._encounters), len(self._targets) - 1)
            yield self._lot(np.concatenate([block, nobody]))

    def _bounded(self, chosen: NDArray[np.int64], random: SecureRandom) -> NDArray[np.int64]:
        """Row numbers [chosen, k]: the k encounters with the smallest of random keys; the last row stands for none."""
        counts, starts = self._counts[chosen], self._starts[chosen]
        owner = np.repeat(np.arange(len(chosen)), counts)
        first = np.cumsum(counts) - counts  # of each patient's encounters among all of theirs
        row = np.arange(len(owner)) + (starts - first)[owner]
        row = row[np.lexsort((random.words(len(owner)), owner))]
        rank = np.arange(len(owner)) - first[owner]
        kept = rank < self._encounters
        index = np.full((len(chosen), self._encounters), len(self._targets) - 1)
        index[owner[kept], rank[kept]] = row[kept]
        return index

    def _lot(self, index: NDArray[np.int64]) -> Lot:
        return Lot(self._inputs[index], self._targets[index], index < len(self._targets) - 1)
