from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from policies.request import StudyRequest

HONEST = StudyRequest(
    researcher="ada@uni.org",
    purpose="Plan follow-up calls",
    dataset="readmissions",
    columns=("age_years", "female"),
    tier="reviewed",
    rounds=12,
    seconds_per_round=600,
    max_bytes=80_000,
    fit_metrics=("loss",),
    evaluate_metrics=("loss", "auc"),
    evaluate_arrays={"score_histogram": (2, 1000)},
    files={"study.py": "import numpy as np\n"},
    config={"seed": 0},
    digest="d" * 64,
    patients=5_000,
)


@pytest.fixture
def asks() -> Callable[..., StudyRequest]:
    """An honest request, but for the given entries."""

    def ask(**changes: Any) -> StudyRequest:
        return dataclasses.replace(HONEST, **changes)

    return ask
