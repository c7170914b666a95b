"""A round's two messages: the researcher's global state, and a hospital's answer.

Each is one safetensors blob (see `arrays`), signed and encrypted for its one reader. A round is identified by the
digest of its plaintext: the same message always gets the same, stored answer.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from datasites.wire.arrays import Arrays, packed, unpack, unpack_header
from datasites.wire.limits import ROUND_BYTES, STAR_BYTES
from datasites.wire.manifest import Manifest
from datasites.wire.pieces import Pieces
from datasites.wire.reasons import Reason
from datasites.wire.spool import Buffer
from datasites.wire.values import Digest, Email, Frozen
from policies.errors import InvalidInput, Refused

RoundNumber = Annotated[int, Field(ge=1, le=999_999)]
Count = Annotated[int, Field(ge=1, lt=2**53)]  # exact as a float64 weight
Metrics = dict[str, float]
_FIT, _METRIC = "parameters/", "metric/"
_ENVELOPE = 8 * 1024 * 1024  # headers, names and what encryption adds
Model = TypeVar("Model", bound=Frozen)


class RoundRequest(Frozen):
    """Round `number` of a study for one hospital: evaluate the state, train on it, or both (in this order)."""

    kind: Literal["round"] = "round"
    study: Digest
    number: RoundNumber
    hospital: Email
    evaluate: bool
    fit: bool

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not (self.evaluate or self.fit):
            raise ValueError("a round must ask for something")
        return self


class FitReport(Frozen):
    num_examples: Count
    metrics: Metrics


class EvaluateReport(Frozen):
    num_examples: Count
    metrics: Metrics


class RoundReply(Frozen):
    """`request` is the digest of the message it answers. Exactly one of a result and a reason is given."""

    kind: Literal["reply"] = "reply"
    study: Digest
    number: RoundNumber
    hospital: Email
    request: Digest
    reason: Reason | None = Field(default=None, strict=False)
    fit: FitReport | None = None
    evaluate: EvaluateReport | None = None
    seconds: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.reason is None) == (self.fit is None and self.evaluate is None):
            raise ValueError("a reply holds a result or a reason")
        for report in (self.fit, self.evaluate):
            if report and not all(math.isfinite(value) for value in report.metrics.values()):
                raise ValueError("metrics must be finite")
        return self


def encode_request(request: RoundRequest, parameters: Arrays) -> bytes:
    """The plaintext of a request; the same round always gives the same bytes."""
    return request_pieces(request, parameters).join()


def request_pieces(request: RoundRequest, parameters: Arrays) -> Pieces:
    """The same, not joined."""
    return packed(request.model_dump(mode="json"), parameters)


def decode_request(plaintext: Buffer) -> tuple[RoundRequest, Arrays]:
    header, arrays = unpack(plaintext, STAR_BYTES)
    return _parse(RoundRequest, header), arrays


def most_bytes(manifest: Manifest) -> int:
    """Of an encrypted message of the study's rounds, either way. A study of small models takes no large messages from
    whoever writes to the store; one of large models may have them, for its hospitals have approved their size."""
    if manifest.secure_aggregation or manifest.gossip:
        return ROUND_BYTES
    outputs = manifest.outputs
    whole = sum(spec.nbytes for specs in (outputs.parameters, outputs.evaluate_arrays) for spec in specs.values())
    return min(STAR_BYTES, max(whole, manifest.max_bytes) + _ENVELOPE)


def is_addressed(plaintext: Buffer, study: str, number: int, hospital: str) -> bool:
    """Whether it says of itself that it is this round of this study for this hospital. Nothing else is looked at."""
    try:
        header = unpack_header(plaintext)
    except InvalidInput:
        return False
    said = {name: header.get(name) for name in ("study", "number", "hospital")}
    asked = header.get("kind") in ("round", "secure")
    return asked and said == {"study": study, "number": number, "hospital": hospital}


def encode_reply(reply: RoundReply, parameters: Arrays | None = None, metrics: Arrays | None = None) -> bytes:
    """The plaintext of an answer."""
    return reply_pieces(reply, parameters, metrics).join()


def reply_pieces(reply: RoundReply, parameters: Arrays | None = None, metrics: Arrays | None = None) -> Pieces:
    """The same, not joined."""
    named = {_FIT + name: array for name, array in (parameters or {}).items()}
    named.update({_METRIC + name: array for name, array in (metrics or {}).items()})
    return packed(reply.model_dump(mode="json"), named)


def decode_reply(plaintext: Buffer) -> tuple[RoundReply, Arrays, Arrays]:
    """(reply, parameters, array metrics)."""
    header, arrays = unpack(plaintext, STAR_BYTES)
    if not all(name.startswith((_FIT, _METRIC)) for name in arrays):
        raise Refused("A reply holds arrays of unknown kind.")
    parameters = {n.removeprefix(_FIT): a for n, a in arrays.items() if n.startswith(_FIT)}
    metrics = {n.removeprefix(_METRIC): a for n, a in arrays.items() if n.startswith(_METRIC)}
    return _parse(RoundReply, header), parameters, metrics


def request_digest(plaintext: Buffer) -> str:
    return Pieces((plaintext,)).digest


def _parse(model: type[Model], header: dict[str, Any]) -> Model:
    try:
        return model.model_validate(header)
    except ValidationError:
        raise Refused("A round's message is not understood.") from None
