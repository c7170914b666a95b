"""Random numbers that nobody can foretell, and noise whose shape tells nothing of what it hides.

Words are the keystream of ChaCha20 (RFC 8439) under a key of the operating system's generator. NumPy's and PyTorch's
generators are not made for this: some six hundred outputs of a Mersenne twister give away all that follow.

Adding a Gaussian to a sum in floating point is not the Gaussian mechanism: which numbers can come out at all depends on
the sum (Mironov 2012; Holohan and Braghin 2021). Here the sum and the noise are each rounded to the same public grid
and added as whole numbers. What comes out is the rounding of the rounded sum plus a Gaussian, hence no more than the
Gaussian mechanism on the rounded sum (post-processing), and any grid point can come out, whatever the sum was. Compare
the discrete mechanisms of Canonne, Kamath and Steinke (2020).
"""

from __future__ import annotations

import math
import os

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from numpy.typing import NDArray

Words = NDArray[np.uint64]
_KEY_BYTES, _NONCE_BYTES, _WORD_BYTES = 32, 16, 8
_TWO_64 = 2.0**64
_FINENESS = 32  # grid points to a sensitivity, as a power of two
_LARGEST = 2.0**61  # in grid points: more than any lot's sum of clipped gradients
# For adding up in float64: an error of at most (n^2 / 2) * 2^-53 for n terms of norm 1 in blocks of 256 (Higham 2002,
# chapter 4), so that the sums of two tables that differ in a patient may differ by a little more than the clip.
_SUM_MARGIN = 2.0**-20


class SecureRandom:
    """One stream. Make it with `fresh` within the process that uses it: forked processes must not share one."""

    def __init__(self, key: bytes) -> None:
        """For tests, which need the same numbers twice; everybody else uses `fresh`."""
        self._stream = Cipher(algorithms.ChaCha20(key, bytes(_NONCE_BYTES)), mode=None).encryptor()

    @classmethod
    def fresh(cls) -> SecureRandom:
        """A stream under a key that nobody has seen."""
        return cls(os.urandom(_KEY_BYTES))

    def words(self, count: int) -> Words:
        """`count` uniform numbers of 64 bits."""
        return np.frombuffer(self._stream.update(bytes(_WORD_BYTES * count)), dtype=np.uint64)

    def chosen(self, count: int, rate: float) -> NDArray[np.bool_]:
        """`count` independent yes or no, each yes with probability `rate` (up to 2^-64, never above it)."""
        if rate >= 1:
            return np.ones(count, np.bool_)
        return self.words(count) < np.uint64(math.floor(rate * _TWO_64))

    def gaussians(self, count: int) -> NDArray[np.float64]:
        """`count` standard normal numbers (Box and Muller 1958); the largest that can occur is 9.5."""
        half = (count + 1) // 2
        uniform = (self.words(2 * half).astype(np.float64) + 0.5) / _TWO_64  # in (0, 1]
        radius, angle = np.sqrt(-2 * np.log(uniform[:half])), 2 * math.pi * uniform[half:]
        found = np.empty(2 * half)
        found[:half], found[half:] = radius * np.cos(angle), radius * np.sin(angle)
        return found[:count]

    def whole_gaussians(self, count: int, deviation: float) -> NDArray[np.int64]:
        """Gaussians of this standard deviation, rounded to whole numbers."""
        return np.rint(self.gaussians(count) * deviation).astype(np.int64)


def noisy_sum(
    total: NDArray[np.float64], sensitivity: float, noise_multiplier: float, random: SecureRandom
) -> NDArray[np.float64]:
    """The Gaussian mechanism: `total` plus noise of standard deviation noise_multiplier * sensitivity in each number.

    sensitivity: the most that one patient changes `total`, in L2. The noise is wider by less than 1 in 100,000, which
    covers the rounding of sums and grid.
    """
    step = math.ldexp(1.0, math.floor(math.log2(sensitivity)) - _FINENESS)
    margin = sensitivity * _SUM_MARGIN + step * math.sqrt(total.size)
    whole = np.rint(np.clip(total / step, -_LARGEST, _LARGEST)).astype(np.int64)
    deviation = noise_multiplier * (sensitivity + margin) / step
    noisy = whole + random.whole_gaussians(total.size, deviation).reshape(total.shape)
    return noisy.astype(np.float64) * step


def noisy_counts(
    counts: NDArray[np.int64], sensitivity: float, noise_multiplier: float, random: SecureRandom
) -> NDArray[np.int64]:
    """The Gaussian mechanism on whole numbers: each plus a rounded Gaussian; some come out below 0.

    sensitivity: the most that one patient changes `counts`, in L2.
    """
    noise = random.whole_gaussians(counts.size, noise_multiplier * sensitivity)
    return counts + noise.reshape(counts.shape)
