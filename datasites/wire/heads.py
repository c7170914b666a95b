"""Signed heads of a hospital's audit log: what it shows of the log to others, so that they can hold it to its history.

A head says "my log has `size` entries, with this Merkle root". It is published in the store with proofs that it
continues earlier heads. Whoever has seen one (a witness) puts the newest it has seen beside its own keys: the
hospital's next head proves that it continues that one too, and a hospital whose log was rolled back learns of it there.

| name in the store | writer | what |
|---|---|---|
| participants/HOSPITAL/heads/SIZE.json | HOSPITAL | a `Publication` |
| participants/WITNESS/witnessed/HOSPITAL.json | WITNESS | the newest `SignedHead` it has seen, signed by HOSPITAL |
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from datasites.wire import keys
from datasites.wire.canonical import canonical_json
from datasites.wire.gaps import SignedGap
from datasites.wire.identity import Identity, PublicIdentity
from datasites.wire.store import Store
from datasites.wire.values import Digest, Email, Frozen
from policies.errors import InvalidInput

HEAD, PUBLICATION = "audit-head", "audit-publication"
MAX_BYTES = 1024 * 1024
# 64 bytes in URL-safe base64, in the one spelling of them: no bit can be flipped unseen
Signature = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{85}[AQgw]$")]


class Head(Frozen):
    """`root`: hex, over the first `size` entries. A hospital's later heads are never smaller, nor `at` earlier."""

    version: Literal[1] = 1
    hospital: Email
    size: Annotated[int, Field(ge=1)]
    root: Digest
    at: datetime = Field(strict=False)


class SignedHead(Frozen):
    """Stands alone: with the hospital's public keys anybody can check it."""

    head: Head
    signature: Signature

    @classmethod
    def sign(cls, head: Head, identity: Identity) -> SignedHead:
        return cls(head=head, signature=identity.sign(HEAD, _payload(head)))

    def verified(self, hospital: PublicIdentity) -> bool:
        """Whether the hospital it names signed it."""
        return self.head.hospital == hospital.email and hospital.signed(
            HEAD, _payload(self.head), self.signature, size=self.head.size
        )


class Publication(Frozen):
    """`proofs`: by an earlier head's size, the consistency proof (hex hashes, RFC 9162) from there to this head.

    The hospital signs the proofs too: one that fails is its own word, not the store's mischief.
    """

    head: SignedHead
    proofs: dict[str, tuple[Digest, ...]] = Field(strict=False)
    gaps: tuple[SignedGap, ...] = Field(default=(), strict=False)
    signature: Signature

    @classmethod
    def sign(
        cls,
        head: SignedHead,
        proofs: dict[int, list[bytes]],
        identity: Identity,
        gaps: tuple[SignedGap, ...] = (),
    ) -> Publication:
        spelt = {str(size): tuple(h.hex() for h in proof) for size, proof in sorted(proofs.items())}
        signature = identity.sign(PUBLICATION, _proven(head, spelt, gaps))
        return cls(head=head, proofs=spelt, gaps=gaps, signature=signature)

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """One of a log without a gap reads as it did before there was the word."""
        content: dict[str, Any] = handler(self)
        if not self.gaps:
            content.pop("gaps", None)
        return content

    def verified(self, hospital: PublicIdentity) -> bool:
        size = self.head.head.size
        signed = hospital.signed(PUBLICATION, _proven(self.head, self.proofs, self.gaps), self.signature, size=size)
        return signed and self.head.verified(hospital) and all(one.verified(hospital) for one in self.gaps)

    def proof_from(self, size: int) -> list[bytes] | None:
        spelt = self.proofs.get(str(size))
        return None if spelt is None else [bytes.fromhex(h) for h in spelt]


def box(hospital: str) -> str:
    return f"{keys.participant(hospital)}/heads"


def key(hospital: str, size: int) -> str:
    return f"{box(hospital)}/{size:012d}.json"


def size_of(name: str) -> int | None:
    """The size in an object's name, None for a name that `key` does not make."""
    stem = name.rsplit("/", 1)[-1].removesuffix(".json")
    return int(stem) if len(stem) == 12 and stem.isascii() and stem.isdecimal() else None


def witnessed_key(witness: str, hospital: str) -> str:
    return f"{keys.participant(witness)}/witnessed/{keys.encode(hospital)}.json"


def read_publication(store: Store, name: str, hospital: PublicIdentity) -> Publication | None:
    """None for what is not there, or is not the hospital's own word: anybody may have put rubbish into the store."""
    try:
        found = Publication.model_validate_json(store.get(name, MAX_BYTES) or b"")
    except (ValidationError, InvalidInput):
        return None
    return found if size_of(name) == found.head.head.size and found.verified(hospital) else None


def read_witnessed(store: Store, witness: str, hospital: PublicIdentity) -> SignedHead | None:
    """The head of `hospital` that `witness` says it has seen, if the hospital did sign it."""
    try:
        found = SignedHead.model_validate_json(store.get(witnessed_key(witness, hospital.email), MAX_BYTES) or b"")
    except (ValidationError, InvalidInput):
        return None
    return found if found.verified(hospital) else None


def write_witnessed(store: Store, witness: str, head: SignedHead) -> None:
    store.put(witnessed_key(witness, head.head.hospital), head.model_dump_json().encode())


def _payload(head: Head) -> bytes:
    return canonical_json(head.model_dump(mode="json"))


def _proven(head: SignedHead, proofs: dict[str, tuple[str, ...]], gaps: tuple[SignedGap, ...]) -> bytes:
    content: dict[str, Any] = {"head": head.model_dump(mode="json"), "proofs": proofs}
    if gaps:
        content["gaps"] = [one.model_dump(mode="json") for one in gaps]
    return canonical_json(content)
