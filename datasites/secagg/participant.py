"""A hospital's part in one secure sum: Bonawitz et al. (2017), Practical Secure Aggregation for Privacy-Preserving
Machine Learning, figure 4, with its steps against a dishonest server.

keys → shares → masked numbers → agreement on who is in the sum → shares that take the masks off. Each step happens
once, in this order; anything else is refused and ends it. The secrets live in memory alone: a hospital that was killed
has left the sum, and nobody can ask it about it any more. So of one peer it never tells both shares, of the key and of
the self-mask, whatever it is sent.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum

from datasites.wire.identity import Identity, PublicIdentity
from datasites.wire.secagg import shamir
from datasites.wire.secagg.masks import Ring, add_mask, agreed, own_seed, public_of, seal, sign_of, unseal
from datasites.wire.secagg.statements import Keys, SignedKeys, scope_of, sign_survivors, survivors_verified
from datasites.wire.secagg.terms import SecureAggregation
from policies.errors import Refused


class _Stage(IntEnum):
    BEGUN, KEYS, SHARES, RECEIVED, MASKED, AGREED, OVER = range(7)


@dataclass(frozen=True)
class Unmasking:
    """Shares by hospital: of the self-masks of those in the sum, and of the keys of those who left it."""

    of_masks: dict[str, bytes]
    of_keys: dict[str, bytes]


@dataclass
class _Peer:
    public: PublicIdentity
    keys: Keys
    channel: bytes = b""  # key for shares
    shares: tuple[bytes, bytes] = field(default=(b"", b""), repr=False)  # of its mask key and of its self-mask


class Participant:
    """One aggregation at one hospital. All steps raise Refused; then it is over."""

    def __init__(self, identity: Identity, terms: SecureAggregation, study: str, first: int) -> None:
        named = terms.hospitals.get(identity.email)
        if named != identity.public.fingerprint:
            raise Refused("This hospital, with the keys that it has, is not among those of the study's secure sum.")
        self._identity, self._terms, self._me = identity, terms, identity.email
        self.first, self._scope = first, scope_of(study, first, terms)
        self._for_shares, self._for_masks, self._own = (secrets.token_bytes(32) for _ in range(3))
        self._peers: dict[str, _Peer] = {}
        self._in: frozenset[str] = frozenset()
        self._survivors: frozenset[str] = frozenset()
        self._mine: SignedKeys | None = None
        self._stage = _Stage.BEGUN

    def keys(self) -> SignedKeys:
        """Step 0: fresh keys, signed."""
        with self._step(_Stage.KEYS):
            keys = Keys(
                scope=self._scope,
                hospital=self._me,
                for_shares=public_of(self._for_shares).hex(),
                for_masks=public_of(self._for_masks).hex(),
                commitment=hashlib.sha256(self._own).hexdigest(),
            )
            self._mine = SignedKeys.sign(keys, self._identity)
            return self._mine

    def shares(self, roster: Iterable[SignedKeys]) -> dict[str, bytes]:
        """Step 1: shares of this hospital's secrets, sealed for each peer, from everybody's keys."""
        with self._step(_Stage.SHARES):
            self._peers = self._listed(list(roster))
            return self._dealt(self._peers)

    def _listed(self, named: list[SignedKeys]) -> dict[str, _Peer]:
        peers = {one.keys.hospital: _Peer(one.verified(self._terms, self._scope), one.keys) for one in named}
        mine = peers.get(self._me)
        if len(peers) < len(named) or mine is None or self._mine is None or mine.keys != self._mine.keys:
            raise Refused("The list of keys names a hospital twice, or this one not with the keys that it sent.")
        used = [key for peer in peers.values() for key in (peer.keys.for_shares, peer.keys.for_masks)]
        if len(set(used)) < len(used):
            raise Refused("Two hospitals show the same key.")
        self._enough(peers)
        return peers

    def _dealt(self, peers: Mapping[str, _Peer]) -> dict[str, bytes]:
        places = {peer: self._terms.place(peer) for peer in peers}
        of_key = shamir.split(self._for_masks, self._terms.threshold, places.values())
        of_mask = shamir.split(self._own, self._terms.threshold, places.values())
        sealed = {}
        for name, peer in peers.items():
            both = of_key[places[name]], of_mask[places[name]]
            if name == self._me:
                peer.shares = both
                continue
            theirs = bytes.fromhex(peer.keys.for_shares)
            peer.channel = agreed(self._for_shares, theirs, "shares", self._scope, self._me, name)
            sealed[name] = seal(peer.channel, b"".join(both), self._scope, self._me, name)
        return sealed

    def receive(self, sealed: Mapping[str, bytes]) -> None:
        """Step 2, before anything is worked out: the shares that peers sealed for this hospital. Peers that sent none
        have left before anything was added."""
        with self._step(_Stage.RECEIVED):
            if not sealed.keys() <= self._peers.keys() - {self._me}:
                raise Refused("Shares come from a hospital that had sent no keys.")
            self._in = frozenset({*sealed, self._me})
            self._enough(self._in)
            for name, share in sealed.items():
                self._take(name, share)

    def masked(self, numbers: Ring) -> Ring:
        """Step 2: the numbers under all masks. numbers: not changed."""
        with self._step(_Stage.MASKED):
            total = numbers.copy()
            for name in sorted(self._in - {self._me}):
                theirs = bytes.fromhex(self._peers[name].keys.for_masks)
                seed = agreed(self._for_masks, theirs, "pair", self._scope, self._me, name)
                add_mask(total, seed, sign_of(self._me, name))
            add_mask(total, own_seed(self._own, self._scope, self._me), 1)
            return total

    def _take(self, name: str, share: bytes) -> None:
        peer = self._peers[name]
        both = unseal(peer.channel, share, self._scope, name, self._me)
        if len(both) != 2 * shamir.SHARE_BYTES:
            raise Refused(f"A share of {name} has not the right size.")
        peer.shares = both[: shamir.SHARE_BYTES], both[shamir.SHARE_BYTES :]

    def agree(self, survivors: Iterable[str]) -> str:
        """Step 3: this hospital's signature under the one list of those who are in the sum that it will ever sign."""
        with self._step(_Stage.AGREED):
            named = list(survivors)
            listed = frozenset(named)
            if len(listed) < len(named) or not listed <= self._in or self._me not in listed:
                raise Refused("The list of hospitals in the sum names one that is not, or not this one.")
            self._enough(listed)
            self._survivors = listed
            return sign_survivors(self._identity, self._scope, listed)

    def unmask(self, signatures: Mapping[str, str]) -> Unmasking:
        """Step 4: one share of each peer, once two thirds have signed the very list that this hospital has signed."""
        with self._step(_Stage.OVER):
            self._enough(name for name in self._survivors if self._has_signed(name, signatures.get(name, "")))
            found = Unmasking(
                of_masks={name: self._peers[name].shares[1] for name in sorted(self._survivors)},
                of_keys={name: self._peers[name].shares[0] for name in sorted(self._in - self._survivors)},
            )
            self._forget()
            return found

    def _has_signed(self, name: str, signature: str) -> bool:
        return survivors_verified(self._peers[name].public, self._scope, self._survivors, signature)

    @contextmanager
    def _step(self, stage: _Stage) -> Iterator[None]:
        """Whatever goes wrong in a step ends the aggregation."""
        try:
            if stage != self._stage + 1:
                raise Refused("A step of the secure sum was asked for twice, or before the one it follows.")
            self._stage = stage
            yield
        except BaseException:
            self._forget()
            raise

    def _enough(self, hospitals: Iterable[str]) -> None:
        if len(found := list(hospitals)) < self._terms.threshold:
            raise Refused(f"{len(found)} hospitals are left of the secure sum; it needs {self._terms.threshold}.")

    def _forget(self) -> None:
        self._stage = _Stage.OVER
        self._for_shares = self._for_masks = self._own = b""
        for peer in self._peers.values():
            peer.shares, peer.channel = (b"", b""), b""
