"""Padmé: Nikitin et al. (2019), Reducing Metadata Leakage from Encrypted Files and Communication with PURBs.

The length of a coded model depends on its numbers, and whoever holds the store sees lengths through all encryption. A
length is therefore rounded up so that it has few significant bits: at most 12% is added, less the longer it is, and all
that lengths up to n tell is O(log log n) bits.
"""

from __future__ import annotations


def padded(size: int) -> int:
    """The least length not below `size` that may be seen."""
    if size < 2:
        return size
    exponent = size.bit_length() - 1
    low = exponent - exponent.bit_length()
    mask = (1 << low) - 1 if low > 0 else 0
    return (size + mask) & ~mask
