from __future__ import annotations

import secrets

import pytest

from datasites.wire.secagg import shamir


def test_any_threshold_of_shares_give_the_secret_and_one_less_does_not() -> None:
    secret = secrets.token_bytes(32)
    shares = shamir.split(secret, 4, range(1, 8))
    for places in ((1, 2, 3, 4), (7, 2, 5, 3), (4, 5, 6, 7)):
        assert shamir.combine(shares, shamir.weights(places)) == secret
    with pytest.raises(ValueError, match="fit together"):  # a number of 32 bytes by chance: once in 2^265
        shamir.combine(shares, shamir.weights((1, 2, 3)))


def test_fewer_shares_fit_every_secret() -> None:
    """For any other secret there is a last share with which the same three give it: they tell nothing."""
    shares, other = shamir.split(secrets.token_bytes(32), 4, range(1, 5)), secrets.token_bytes(32)
    by = shamir.weights((1, 2, 3, 4))
    known = sum(by[place] * int.from_bytes(shares[place], "big") for place in (1, 2, 3))
    last = (int.from_bytes(other, "big") - known) * pow(by[4], -1, shamir.PRIME) % shamir.PRIME
    made_up = {**shares, 4: last.to_bytes(shamir.SHARE_BYTES, "big")}
    assert shamir.combine(made_up, by) == other


def test_false_shares_are_told() -> None:
    shares = {**shamir.split(bytes(32), 2, (1, 2)), 2: b"\x01" * shamir.SHARE_BYTES}
    with pytest.raises(ValueError, match="fit together"):
        shamir.combine(shares, shamir.weights((1, 2)))
