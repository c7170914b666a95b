"""A data owner's signed word on one study, bound to its digest."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from datasites.wire.canonical import canonical_json
from datasites.wire.identity import Identity, PublicIdentity
from datasites.wire.shown import facts, heading
from datasites.wire.values import Digest, Email, Frozen, Positive

CONTEXT = "study-decision"
FILE = "decision.json"
REASON_LENGTH = 2000
BY_POLICY = "policy "  # how `decided_by` begins when no person decided; the policy's digest follows
Verdict = Literal["approved", "denied", "revoked"]


class GateNoise(Frozen):
    """What the policy in force at the approval does to each round of study code: the update is shortened to `distance`
    in L2, and each number gets noise of standard deviation `multiple` * `distance`."""

    distance: Positive
    multiple: Positive


class Decision(Frozen):
    """`number` counts a hospital's decisions on this study: a later one replaces an earlier one.

    least_patients: of an approval, the hospital's word that its table had at least so many patients then. It is the
    least that its policy demands, so it tells no more of the table than that the study was approved.
    """

    version: Literal[1] = 1
    study: Digest
    hospital: Email
    number: Annotated[int, Field(ge=1)]
    verdict: Verdict
    rounds: Annotated[int, Field(ge=0)] = 0
    expires_at: datetime | None = Field(default=None, strict=False)
    reason: Annotated[str, Field(max_length=REASON_LENGTH)] = ""
    decided_by: Annotated[str, Field(max_length=200)] = ""
    decided_at: datetime = Field(strict=False)
    noise: GateNoise | None = None
    least_patients: Annotated[int, Field(ge=1)] | None = None

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """One that attests nothing has the canonical form, and so the signature, from before there was the word."""
        content: dict[str, Any] = handler(self)
        if self.least_patients is None:
            content.pop("least_patients", None)
        return content

    def __repr__(self) -> str:
        until = f"; until {self.expires_at:%Y-%m-%d}" if self.expires_at else ""
        rounds = f"; {self.rounds:,} rounds" if self.verdict == "approved" else ""
        return f"<Decision: {self.verdict}; study {self.study[:12]}{rounds}{until}; by {self.decided_by}>"

    def _repr_html_(self) -> str:
        until = f"{self.expires_at:%Y-%m-%d %H:%M %Z}" if self.expires_at else ""
        told = {
            "study": self.study,
            "rounds": self.rounds or None,
            "until": until,
            "reason": self.reason,
            "by": f"{self.decided_by}, {self.decided_at:%Y-%m-%d %H:%M %Z}",
            "noise": f"distance {self.noise.distance:g}, multiple {self.noise.multiple:g}" if self.noise else "",
        }
        return heading(f"{self.verdict.capitalize()} at {self.hospital}") + facts(told)

    @property
    def automatic(self) -> bool:
        """Whether a policy decided, and no person: a repetition of what a person had approved."""
        return self.decided_by.startswith(BY_POLICY)

    def in_force(self, at: datetime) -> bool:
        """Whether it approves at that time; not asking whether a later decision has replaced it."""
        return self.verdict == "approved" and self.expires_at is not None and at < self.expires_at


class SignedDecision(Frozen):
    decision: Decision
    signature: str

    @classmethod
    def sign(cls, decision: Decision, identity: Identity) -> SignedDecision:
        return cls(decision=decision, signature=identity.sign(CONTEXT, _payload(decision)))

    def verified(self, hospital: PublicIdentity) -> bool:
        """Whether the hospital it names signed it."""
        named = self.decision.hospital == hospital.email
        return named and hospital.signed(CONTEXT, _payload(self.decision), self.signature)


def _payload(decision: Decision) -> bytes:
    return canonical_json(decision.model_dump(mode="json"))
