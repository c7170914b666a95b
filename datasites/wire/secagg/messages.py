"""The messages of a secure sum between the researcher and one hospital: five steps, each one message and its answer.

What hospitals say to each other is in them, signed or sealed for its reader; the researcher passes it on. Numbers are
the messages' arrays: the global state with the step `numbers`, the masked numbers with its answer.
"""

from __future__ import annotations

import base64
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, ValidationError, model_validator

from datasites.wire.arrays import Arrays, pack, unpack, unpack_header
from datasites.wire.limits import ROUND_BYTES
from datasites.wire.reasons import Reason
from datasites.wire.rounds import RoundNumber
from datasites.wire.secagg.masks import Ring
from datasites.wire.secagg.statements import SignedKeys
from datasites.wire.secagg.terms import MOST_HOSPITALS
from datasites.wire.spool import Buffer
from datasites.wire.values import Digest, Email, Frozen
from policies.errors import InvalidInput, Refused

Step = Literal["keys", "shares", "numbers", "agree", "unmask"]
STEPS: tuple[Step, ...] = ("keys", "shares", "numbers", "agree", "unmask")
_MASKED = "masked"
_MOST_SEALED = 1000  # characters


def _base64(text: str) -> str:
    base64.b64decode(text, validate=True)
    return text


Bytes = Annotated[str, Field(max_length=_MOST_SEALED), AfterValidator(_base64)]
ByHospital = Annotated[dict[Email, Bytes], Field(max_length=MOST_HOSPITALS)]


class SecureRequest(Frozen):
    """Step `step` of the secure sum that began with message `first`, for round `round` of the study.

    The step fixes what else there is: shares: `roster`; numbers: `sealed`; agree: `survivors`; unmask: `signatures`.
    """

    kind: Literal["secure"] = "secure"
    study: Digest
    number: RoundNumber
    hospital: Email
    step: Step
    first: RoundNumber
    round: RoundNumber
    evaluate: bool
    fit: bool
    roster: Annotated[tuple[SignedKeys, ...], Field(strict=False, max_length=MOST_HOSPITALS)] = ()
    sealed: ByHospital = Field(default_factory=dict)
    survivors: Annotated[tuple[Email, ...], Field(strict=False, max_length=MOST_HOSPITALS)] = ()
    signatures: Annotated[dict[Email, Annotated[str, Field(max_length=200)]], Field(max_length=MOST_HOSPITALS)] = Field(
        default_factory=dict
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not (self.evaluate or self.fit) or self.number != self.first + STEPS.index(self.step):
            raise ValueError("a step has its own number, and a sum is of something")
        return self


class SecureReply(Frozen):
    """`request` is the digest of the message it answers. With a reason there is nothing else."""

    kind: Literal["secure-reply"] = "secure-reply"
    study: Digest
    number: RoundNumber
    hospital: Email
    request: Digest
    reason: Reason | None = Field(default=None, strict=False)
    keys: SignedKeys | None = None
    sealed: ByHospital = Field(default_factory=dict)
    signature: Annotated[str, Field(max_length=200)] = ""
    of_masks: ByHospital = Field(default_factory=dict)
    of_keys: ByHospital = Field(default_factory=dict)


def encode_secure(message: SecureRequest | SecureReply, arrays: Arrays | None = None) -> bytes:
    return pack(message.model_dump(mode="json"), arrays or {})


def is_secure(plaintext: Buffer) -> bool:
    """Whether it says of itself that it is a step of a secure sum."""
    try:
        return unpack_header(plaintext).get("kind") == "secure"
    except InvalidInput:
        return False


def decode_secure_request(plaintext: Buffer) -> tuple[SecureRequest, Arrays]:
    header, arrays = unpack(plaintext, ROUND_BYTES)
    try:
        return SecureRequest.model_validate(header), arrays
    except ValidationError:
        raise Refused("A message of a secure sum is not understood.") from None


def decode_secure_reply(plaintext: Buffer) -> tuple[SecureReply, Arrays]:
    header, arrays = unpack(plaintext, ROUND_BYTES)
    try:
        return SecureReply.model_validate(header), arrays
    except ValidationError:
        raise Refused("An answer of a secure sum is not understood.") from None


def numbers_out(masked: Ring) -> Arrays:
    return {_MASKED: masked.view(np.int64)}


def numbers_in(arrays: Arrays, size: int) -> Ring:
    """Raises Refused for another number of numbers."""
    found = arrays.get(_MASKED)
    if arrays.keys() != {_MASKED} or found is None or found.dtype != np.int64 or found.shape != (size,):
        raise Refused("The masked numbers are not as many as the study has.")
    return found.view(np.uint64)


def as_text(parts: dict[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(part).decode() for name, part in parts.items()}


def as_bytes(parts: dict[str, str]) -> dict[str, bytes]:
    return {name: base64.b64decode(part) for name, part in parts.items()}
