from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from datasites.ledger.rows import Charge
from datasites.state import AnsweredRound, State
from policies.privacy import Event, SampledGaussian
from policies.sections import Budget

STUDY, ADA = "a" * 64, "ada@uni.org"
TRAINING = SampledGaussian(2.0, 0.05, 20)
BUDGET = Budget(epsilon_per_study=3.0, epsilon_total=5.0, delta=1e-6)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(tmp_path / "state.db")
    yield opened
    opened.close()


def charge(
    round_: int = 1,
    *events: Event,
    study: str = STUDY,
    researcher: str = ADA,
    request: str = "digest",
    plan: tuple[Event, ...] | None = None,
    dataset: str = "readmissions",
) -> Charge:
    return Charge(dataset, study, researcher, round_, request, events or (TRAINING,), plan)


def answer(number: int, outcome: str = "released") -> AnsweredRound:
    return AnsweredRound(number, "digest", outcome, True, False, b"reply", "now", 0.1)


@pytest.fixture
def spend(state: State) -> Callable[..., int]:
    """Rounds of one study, reserved and committed until the budget refuses; returns how many it allowed."""

    def rounds(study: str, *events: Event, budget: Budget = BUDGET, researcher: str = ADA, most: int = 1000) -> int:
        from datasites.ledger.errors import BudgetExceeded

        for number in range(1, most + 1):
            try:
                state.ledger.commit(
                    state.ledger.reserve(charge(number, *events, study=study, researcher=researcher), budget)
                )
            except BudgetExceeded:
                return number - 1
        return most

    return rounds
