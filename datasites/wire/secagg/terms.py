"""What a study asks for with secure aggregation: who takes part, and in which numbers they add."""

from __future__ import annotations

import math
from typing import Annotated, Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from datasites.wire.canonical import digest_of
from datasites.wire.values import Email, Frozen, Identifier
from policies.errors import InvalidInput
from policies.privacy.sharing import Sharing

LEAST_HOSPITALS, MOST_HOSPITALS = 3, 500
_RING_BITS = 62  # of 64: a bit for the sign, and one to spare
_LEAST_BITS = 20
_METRICS_WIDER = 64

_VALUE_BITS = 30  # of a sum's greatest number at one hospital; the gate lets out none above a thousand million
Names = Annotated[tuple[Identifier, ...], Field(strict=False, max_length=100)]
Fingerprint = Annotated[str, Field(pattern=r"^(?:[0-9a-f]{4} ){7}[0-9a-f]{4}$")]


class SecureAggregation(Frozen):
    """hospitals: all that may take part, with their keys' fingerprints: nobody else counts, whatever anybody says.

    limit: the most that a parameter may change in a round, a power of two. most_examples: of one hospital. Together
    they fix the step in which numbers are counted, so that no sum can overflow.
    tables: arrays of the test in which hospitals withhold small cells: of each cell, what is told is added, and how
    many hospitals withhold it. sums: arrays of the test that are sums over patients; they are added as they are.
    honest: in the private tier, the noise of counts is shared (see `policies.privacy.sharing`), and trusts that so many
    of the hospitals are honest; each adds its own whole noise where it is not given.
    """

    hospitals: dict[Email, Fingerprint]
    limit: Annotated[float, Field(ge=1, le=2**20)] = 256.0
    most_examples: Annotated[int, Field(ge=1, le=2**40)] = 2**20
    tables: Names = ()
    sums: Names = ()
    honest: Annotated[int, Field(ge=1, le=MOST_HOSPITALS)] | None = None

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Terms that say nothing of it have the digest from before there were these."""
        content: dict[str, Any] = handler(self)
        for name in ("tables", "sums", "honest"):
            if not content.get(name):
                content.pop(name, None)
        return content

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if not LEAST_HOSPITALS <= len(self.hospitals) <= MOST_HOSPITALS:
            raise ValueError(f"a secure sum is over {LEAST_HOSPITALS} to {MOST_HOSPITALS} hospitals")
        if len(set(self.hospitals.values())) < len(self.hospitals):
            raise ValueError("two hospitals have the same keys")
        if math.frexp(self.limit)[0] != 0.5:
            raise ValueError("limit must be a power of two")
        if self.bits < _LEAST_BITS:
            raise ValueError("so many hospitals with so many examples leave too few bits: lower most_examples")
        try:
            _ = self.sharing
        except InvalidInput as problem:
            raise ValueError(problem.message) from None  # what pydantic turns into its own error
        return self

    @property
    def threshold(self) -> int:
        """How many must stay to the end: two thirds. Fewer, together with the researcher, learn nothing but the sum."""
        return -(-2 * len(self.hospitals) // 3)

    @property
    def bits(self) -> int:
        """Of a parameter's change, besides its sign."""
        return _RING_BITS - (len(self.hospitals) * self.most_examples - 1).bit_length()

    @property
    def step(self) -> float:
        """A power of two, so that whole numbers are counted exactly."""
        return float(math.ldexp(self.limit, -self.bits))

    @property
    def metric_limit(self) -> float:
        return self.limit * _METRICS_WIDER

    @property
    def metric_step(self) -> float:
        return self.step * _METRICS_WIDER

    @property
    def value_limit(self) -> float:
        """Of a number in `sums`."""
        return float(2**_VALUE_BITS)

    @property
    def value_step(self) -> float:
        return float(math.ldexp(1.0, _VALUE_BITS + (len(self.hospitals) - 1).bit_length() - _RING_BITS))

    @property
    def sharing(self) -> Sharing | None:
        """How noise is shared; None where it is not."""
        return None if self.honest is None else Sharing(len(self.hospitals), self.threshold, self.honest)

    @property
    def digest(self) -> str:
        return digest_of(self.model_dump(mode="json"))

    def place(self, hospital: str) -> int:
        """At which its shares of secrets are taken: 1, 2, ... in the order of names."""
        return sorted(self.hospitals).index(hospital) + 1
