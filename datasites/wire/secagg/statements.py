"""What hospitals say to each other, by way of the researcher: each statement signed by the hospital's identity key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field

from datasites.wire.canonical import canonical_json, digest_of
from datasites.wire.identity import Identity, PublicIdentity, same_fingerprint
from datasites.wire.secagg.terms import SecureAggregation
from datasites.wire.values import Digest, Email, Frozen
from policies.errors import Refused

_KEYS, _SURVIVORS = "secure-aggregation-keys", "secure-aggregation-survivors"
Key = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Keys(Frozen):
    """A hospital's keys for one aggregation. scope: see `scope_of`. commitment: SHA-256 of its self-mask's secret."""

    scope: Digest
    hospital: Email
    for_shares: Key
    for_masks: Key
    commitment: Digest


class SignedKeys(Frozen):
    """document: the hospital's public identity, to be compared with the manifest's fingerprint."""

    keys: Keys
    document: dict[str, Any]
    signature: str

    @classmethod
    def sign(cls, keys: Keys, identity: Identity) -> SignedKeys:
        signature = identity.sign(_KEYS, canonical_json(keys.model_dump(mode="json")))
        return cls(keys=keys, document=identity.public.document, signature=signature)

    def verified(self, terms: SecureAggregation, scope: str) -> PublicIdentity:
        """Who signed it. Raises Refused unless that is a hospital of the terms, with the keys named there."""
        hospital = self.keys.hospital
        fingerprint = terms.hospitals.get(hospital)
        if fingerprint is None:
            raise Refused(f"{hospital} is not among the hospitals of this study.")
        public = PublicIdentity.parse(hospital, self.document)
        if not same_fingerprint(public.fingerprint, fingerprint):
            raise Refused(f"The keys of {hospital} are not those that the study names.")
        payload = canonical_json(self.keys.model_dump(mode="json"))
        if self.keys.scope != scope or not public.verify(_KEYS, payload, self.signature):
            raise Refused(f"The keys of {hospital} for this aggregation are not signed by it.")
        return public


def scope_of(study: str, first: int, terms: SecureAggregation) -> str:
    """One aggregation: the study, the number of the message it began with, and the terms."""
    return digest_of([study, first, terms.digest])


def sign_survivors(identity: Identity, scope: str, survivors: Iterable[str]) -> str:
    return identity.sign(_SURVIVORS, _survivors(scope, survivors))


def survivors_verified(public: PublicIdentity, scope: str, survivors: Iterable[str], signature: str) -> bool:
    return public.verify(_SURVIVORS, _survivors(scope, survivors), signature)


def _survivors(scope: str, survivors: Iterable[str]) -> bytes:
    return canonical_json([scope, sorted(survivors)])
