"""The kinds of values that messages are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from datasites.wire.identity import check_email
from policies.errors import InvalidInput


def _email(value: str) -> str:
    try:
        return check_email(value)
    except InvalidInput as problem:
        raise ValueError(problem.message) from None  # what pydantic turns into its own error


Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$")]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
Line = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Email = Annotated[str, AfterValidator(_email)]
Real = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Frozen(BaseModel):
    """An immutable value with no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
