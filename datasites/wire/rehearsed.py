"""What the researcher says of the rehearsal on mock twins: for whoever reviews the study."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from datasites.wire.values import Email, Frozen, Real

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Metrics = Annotated[dict[Annotated[str, Field(max_length=100)], Real], Field(max_length=100)]


class RehearsedTwin(Frozen):
    """What one hospital's mock twin gave. The rows are invented, so the metrics say nothing about patients."""

    hospital: Email
    fit_seconds: Seconds
    evaluate_seconds: Seconds
    train_examples: Annotated[int, Field(ge=0)]
    test_examples: Annotated[int, Field(ge=0)]
    fit_metrics: Metrics
    evaluate_metrics: Metrics


class RehearsalReport(Frozen):
    """What the researcher says of the rehearsal: for a reader of the study, and no part of what may leave."""

    sandbox: Annotated[str, Field(min_length=1, max_length=100)]
    twins: tuple[RehearsedTwin, ...] = Field(strict=False, max_length=100)
