"""Shamir (1979), How to Share a Secret: any `threshold` of the shares give it back, fewer tell nothing.

Over the prime field of 2^521 - 1, so that a secret of 32 bytes is one number.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence

PRIME = 2**521 - 1
SHARE_BYTES = 66
_SECRET_BYTES = 32


def split(secret: bytes, threshold: int, places: Iterable[int]) -> dict[int, bytes]:
    """A share for each place (1, 2, ...): the value there of a random polynomial whose value at 0 is the secret."""
    if len(secret) != _SECRET_BYTES or threshold < 1:
        raise ValueError("a secret has 32 bytes, and a threshold is at least 1")
    polynomial = [int.from_bytes(secret, "big"), *(secrets.randbelow(PRIME) for _ in range(threshold - 1))]
    return {place: _value(polynomial, place).to_bytes(SHARE_BYTES, "big") for place in places}


def weights(places: Sequence[int]) -> dict[int, int]:
    """By which shares at these places are multiplied to give the secret (Lagrange, at 0). The same for all secrets."""
    found = {}
    for one in places:
        above = below = 1
        for other in places:
            if other != one:
                above, below = above * other % PRIME, below * (other - one) % PRIME
        found[one] = above * pow(below, -1, PRIME) % PRIME
    return found


def combine(shares: Mapping[int, bytes], by: Mapping[int, int]) -> bytes:
    """The secret, from shares at the places of `by` (see `weights`). Raises ValueError where there is none of 32
    bytes, as with false shares."""
    total = sum(weight * int.from_bytes(shares[place], "big") for place, weight in by.items()) % PRIME
    try:
        return total.to_bytes(_SECRET_BYTES, "big")
    except OverflowError:
        raise ValueError("the shares do not fit together") from None


def _value(polynomial: Sequence[int], at: int) -> int:
    value = 0
    for coefficient in reversed(polynomial):
        value = (value * at + coefficient) % PRIME
    return value
