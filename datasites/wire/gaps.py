"""What a hospital says of entries that its audit log has lost, as a backup was put back that others had seen more than.

It is signed, stands in its log and travels with every head that it publishes from then on. It explains to a witness why
the log does not continue what was seen, and shows that it continues what was kept; it never makes that unseen: the
witness's verdict stays `restored`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from datasites.wire.canonical import canonical_json
from datasites.wire.identity import Identity, PublicIdentity
from datasites.wire.values import Digest, Email, Frozen

CONTEXT = "audit-gap"


class Gap(Frozen):
    """The log goes on behind its first `kept` entries, whose Merkle root is `root`; those up to number `lost` that were
    shown before `at` are not there any more."""

    version: Literal[1] = 1
    hospital: Email
    kept: Annotated[int, Field(ge=1)]
    root: Digest
    lost: Annotated[int, Field(ge=2)]
    at: datetime = Field(strict=False)

    def covers(self, size: int, at: datetime) -> bool:
        """Whether a head of that size, signed at that time, is of what was lost."""
        return self.kept < size <= self.lost and at <= self.at


class SignedGap(Frozen):
    gap: Gap
    signature: str

    @classmethod
    def sign(cls, gap: Gap, identity: Identity) -> SignedGap:
        return cls(gap=gap, signature=identity.sign(CONTEXT, _payload(gap)))

    def verified(self, hospital: PublicIdentity) -> bool:
        """Whether the hospital it names signed it."""
        named = self.gap.hospital == hospital.email
        return named and hospital.signed(CONTEXT, _payload(self.gap), self.signature, size=self.gap.kept)


def covered(gaps: Iterable[SignedGap], size: int, at: datetime) -> Gap | None:
    """The gap that a head of that size and time fell into."""
    return next((one.gap for one in gaps if one.gap.covers(size, at)), None)


def _payload(gap: Gap) -> bytes:
    return canonical_json(gap.model_dump(mode="json"))
