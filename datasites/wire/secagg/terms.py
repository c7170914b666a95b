"""What a study asks for with secure aggregation: who takes part, and in which numbers they add."""

from __future__ import annotations

import math
from typing import Annotated, Self

from pydantic import Field, model_validator

from datasites.wire.canonical import digest_of
from datasites.wire.values import Email, Frozen

LEAST_HOSPITALS, MOST_HOSPITALS = 3, 500
_RING_BITS = 62  # of 64: a bit for the sign, and one to spare
_LEAST_BITS = 20
_METRICS_WIDER = 64

Fingerprint = Annotated[str, Field(pattern=r"^(?:[0-9a-f]{4} ){7}[0-9a-f]{4}$")]


class SecureAggregation(Frozen):
    """hospitals: all that may take part, with their keys' fingerprints: nobody else counts, whatever anybody says.

    limit: the most that a parameter may change in a round, a power of two. most_examples: of one hospital. Together
    they fix the step in which numbers are counted, so that no sum can overflow.
    """

    hospitals: dict[Email, Fingerprint]
    limit: Annotated[float, Field(ge=1, le=2**20)] = 256.0
    most_examples: Annotated[int, Field(ge=1, le=2**40)] = 2**20

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
    def digest(self) -> str:
        return digest_of(self.model_dump(mode="json"))

    def place(self, hospital: str) -> int:
        """At which its shares of secrets are taken: 1, 2, ... in the order of names."""
        return sorted(self.hospitals).index(hospital) + 1
