"""What the gate goes by: the study's output contract, the hospital's policy, and how many patients there really are."""

from __future__ import annotations

import hmac
from functools import lru_cache
from typing import Annotated

from pydantic import Field

from datasites.wire.manifest import Manifest
from datasites.wire.outputs import OutputContract
from datasites.wire.values import Frozen
from policies.policy import Policy
from policies.sections import Release

_ROUNDING = b"\0rounding\0"  # no table's name begins so: see how pseudonyms are made


class Cohort(Frozen):
    """Whom the study's view of the table holds, counted by the hospital itself."""

    rows: Annotated[int, Field(ge=0)]
    patients: Annotated[int, Field(ge=0)]


class Rules(Frozen):
    """What the hospital adds to the contract. `rounding_key` (hex) belongs to this hospital and study alone."""

    release: Release
    bytes_per_round: Annotated[int, Field(ge=0)]
    kept_bytes: Annotated[int, Field(ge=0)]
    min_patients: Annotated[int, Field(ge=1)]
    cohort: Cohort
    rounding_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Terms(Frozen):
    """`rules` is None in a rehearsal, which knows no hospital's policy, and in the private tier: what the hospital's
    own training gives has its noise already, and what a policy says of it is held against the study before it runs."""

    contract: OutputContract
    rules: Rules | None = None

    @property
    def noise(self) -> float | None:
        """Of the gate, as a multiple of `clip`."""
        return self.rules.release.gate_noise if self.rules else None

    @property
    def clip(self) -> float | None:
        """The greatest L2 norm of an update."""
        return self.rules.release.max_update_norm if self.rules else None

    @classmethod
    @lru_cache(maxsize=1)  # the gate's process gets them with every result, and they seldom change
    def parse(cls, document: bytes) -> Terms:
        """Raises ValueError."""
        return cls.model_validate_json(document)


def terms_of(manifest: Manifest, policy: Policy, cohort: Cohort, secret: bytes) -> Terms:
    """What holds for a study now. `secret` is the hospital's own."""
    if manifest.tier == "private":
        return Terms(contract=manifest.outputs)
    rules = Rules(
        release=policy.release,
        bytes_per_round=policy.running.bytes_per_round,
        kept_bytes=policy.running.kept_bytes,
        min_patients=policy.data.min_patients,
        cohort=cohort,
        rounding_key=hmac.digest(secret, _ROUNDING + manifest.digest.encode(), "sha256").hex(),
    )
    return Terms(contract=manifest.outputs, rules=rules)
