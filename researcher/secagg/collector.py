"""The researcher's part in one secure sum (see `datasites.secagg.participant`): passes on what hospitals say to each
other, adds up masked numbers, and takes the masks off the sum. It could do no more if it wanted to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from datasites.wire.identity import PublicIdentity
from datasites.wire.secagg import shamir
from datasites.wire.secagg.masks import Ring, add_mask, agreed, own_seed, public_of, sign_of
from datasites.wire.secagg.statements import SignedKeys, scope_of, survivors_verified
from datasites.wire.secagg.terms import SecureAggregation
from policies.errors import Refused
from researcher.errors import RoundFailed

Shares = Mapping[str, bytes]


class Collector:
    """One aggregation of numbers of shape (size,). Hospitals that fall silent are simply not added; each step raises
    RoundFailed where fewer than the terms' threshold are left, and Refused for what a hospital did not say."""

    def __init__(self, terms: SecureAggregation, study: str, first: int) -> None:
        self._terms, self._scope = terms, scope_of(study, first, terms)
        self._keys: dict[str, SignedKeys] = {}
        self._public: dict[str, PublicIdentity] = {}
        self._sealed: dict[str, dict[str, bytes]] = {}  # by sender and recipient
        self._total: Ring | None = None
        self._added: list[str] = []
        self._signatures: dict[str, str] = {}
        self._of_masks: dict[str, dict[int, bytes]] = {}
        self._of_keys: dict[str, dict[int, bytes]] = {}

    def add_keys(self, hospital: str, keys: SignedKeys) -> None:
        public = keys.verified(self._terms, self._scope)
        if keys.keys.hospital != hospital:
            raise Refused(f"{hospital} sent the keys of another hospital.")
        self._keys[hospital], self._public[hospital] = keys, public

    def roster(self) -> list[SignedKeys]:
        """For all who sent keys."""
        self._enough(self._keys)
        return [self._keys[name] for name in sorted(self._keys)]

    def add_shares(self, hospital: str, sealed: Shares) -> None:
        if sealed.keys() != self._keys.keys() - {hospital}:
            raise Refused(f"{hospital} did not send a share for each other hospital.")
        self._sealed[hospital] = dict(sealed)

    def shares_for(self, hospital: str) -> dict[str, bytes]:
        """For all who sent shares: what the others of these sealed for it."""
        self._enough(self._sealed)
        return {sender: sealed[hospital] for sender, sealed in sorted(self._sealed.items()) if sender != hospital}

    @property
    def dealt(self) -> list[str]:
        """Who sent shares, and so is asked for numbers."""
        return sorted(self._sealed)

    def add_numbers(self, hospital: str, masked: Ring) -> None:
        """The sum is kept, and not what it is made of."""
        if hospital not in self._sealed or hospital in self._added:
            raise Refused(f"{hospital} has no part in this sum, or has sent its numbers already.")
        if self._total is None:
            self._total = masked.copy()
        elif masked.shape != self._total.shape:
            raise Refused(f"{hospital} sent another number of numbers.")
        else:
            np.add(self._total, masked, out=self._total)
        self._added.append(hospital)

    @property
    def survivors(self) -> list[str]:
        """Who is in the sum."""
        self._enough(self._added)
        return sorted(self._added)

    def add_signature(self, hospital: str, signature: str) -> None:
        if not survivors_verified(self._public[hospital], self._scope, self._added, signature):
            raise Refused(f"{hospital} did not sign the list of hospitals in the sum.")
        self._signatures[hospital] = signature

    @property
    def signatures(self) -> dict[str, str]:
        self._enough(self._signatures)
        return dict(self._signatures)

    def add_unmasking(self, hospital: str, of_masks: Shares, of_keys: Shares) -> None:
        left = self._sealed.keys() - set(self._added)
        if of_masks.keys() != set(self._added) or of_keys.keys() != left:
            raise Refused(f"{hospital} did not send the shares that take the masks off.")
        place = self._terms.place(hospital)
        for found, shares in ((self._of_masks, of_masks), (self._of_keys, of_keys)):
            for name, share in shares.items():
                found.setdefault(name, {})[place] = share

    def total(self) -> Ring:
        """The sum, without masks. Raises RoundFailed where shares are false."""
        places = sorted(next(iter(self._of_masks.values()), {}))
        self._enough(places)
        if self._total is None:
            raise RoundFailed("There is nothing in the sum.")
        by = shamir.weights(places[: self._terms.threshold])
        total = self._total.copy()
        for name in self._added:
            own = self._secret(self._of_masks[name], by, name)
            if hashlib.sha256(own).hexdigest() != self._keys[name].keys.commitment:
                raise RoundFailed(_FALSE.format(name))
            add_mask(total, own_seed(own, self._scope, name), -1)
        for name, shares in self._of_keys.items():
            self._take_off(total, name, self._secret(shares, by, name))
        return total

    def _take_off(self, total: Ring, gone: str, key: bytes) -> None:
        """The masks that those in the sum had added for one that left it."""
        if public_of(key).hex() != self._keys[gone].keys.for_masks:
            raise RoundFailed(_FALSE.format(gone))
        for name in self._added:
            theirs = bytes.fromhex(self._keys[name].keys.for_masks)
            seed = agreed(key, theirs, "pair", self._scope, gone, name)
            add_mask(total, seed, -sign_of(name, gone))

    def _secret(self, shares: Mapping[int, bytes], by: Mapping[int, int], name: str) -> bytes:
        try:
            return shamir.combine(shares, by)
        except ValueError:
            raise RoundFailed(_FALSE.format(name)) from None

    def _enough(self, found: Mapping[str, object] | list[str] | list[int]) -> None:
        if len(found) < self._terms.threshold:
            raise RoundFailed(
                f"{len(found)} hospitals are left of the secure sum; it needs {self._terms.threshold}.",
                "Nothing was revealed. The state before it is kept; run() goes on.",
            )


_FALSE = "Shares of the secrets of {} are false, so the masks cannot be taken off; nothing was revealed."
