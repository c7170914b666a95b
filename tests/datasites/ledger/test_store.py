from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from datasites.ledger.errors import BudgetExceeded
from datasites.state import State
from datasites.wire.reasons import Reason
from policies.errors import InvalidInput, Refused
from policies.privacy import Gaussian, Plan, SampledGaussian, gate_noise
from policies.privacy.accounting import epsilon
from policies.sections import Budget
from tests.datasites.ledger.conftest import ADA, BUDGET, STUDY, TRAINING, answer, charge

OTHER = "b" * 64
Spend = Callable[..., int]


def steps(state: State) -> list[str]:
    return [row.step for row in state.ledger.rows()]


class TestReserve:
    def test_a_round_asked_again_is_charged_once(self, state: State, tmp_path: Path) -> None:
        number = state.ledger.reserve(charge(), BUDGET)
        assert state.ledger.reserve(charge(), BUDGET) == number
        after_a_crash = State(tmp_path / "state.db")
        assert after_a_crash.ledger.reserve(charge(), BUDGET) == number
        after_a_crash.close()
        assert state.ledger.spent("readmissions") == (TRAINING,)

    def test_what_was_released_is_not_released_again_with_fresh_noise(self, state: State) -> None:
        state.ledger.commit(state.ledger.reserve(charge(), BUDGET))
        with pytest.raises(Refused, match="Round 1 was released already"):
            state.ledger.reserve(charge(), BUDGET)

    def test_a_reserved_round_is_not_swapped_for_another_message_or_more(self, state: State) -> None:
        state.ledger.reserve(charge(), BUDGET)
        for other in (charge(request="other"), charge(1, Gaussian(10.0)), charge(researcher="eve@uni.org")):
            with pytest.raises(Refused, match="reserved for another message"):
                state.ledger.reserve(other, BUDGET)

    def test_refused_means_nothing_was_charged(self, state: State) -> None:
        with pytest.raises(BudgetExceeded, match=r"the study would be charged epsilon 5\.2; the policy allows 3\."):
            state.ledger.reserve(charge(1, Gaussian(1.5, 2)), BUDGET)
        assert state.ledger.rows() == []
        assert state.audit.size == 0

    def test_no_budget_and_no_events(self, state: State) -> None:
        with pytest.raises(BudgetExceeded, match="no privacy budget"):
            state.ledger.reserve(charge(), None)
        with pytest.raises(InvalidInput, match="at least one"):
            state.ledger.reserve(charge().__class__("t", STUDY, ADA, 1, "r", ()), BUDGET)

    def test_a_row_is_a_patient_only_if_the_policy_says_so(self, state: State) -> None:
        by_record = charge(1, SampledGaussian(2.0, 0.05, 20, "record"))
        with pytest.raises(Refused, match="does not protect a patient"):
            state.ledger.reserve(by_record, BUDGET)
        state.ledger.reserve(by_record, BUDGET.model_copy(update={"one_row_per_person": True}))

    def test_gate_noise_of_a_hospital_counts_for_its_patients(self, state: State, spend: Spend) -> None:
        assert spend(STUDY, gate_noise(20.0)) < spend(OTHER, Gaussian(20.0, 1, "hospital"))


class TestLimits:
    @pytest.mark.parametrize("budget", [BUDGET, BUDGET.model_copy(update={"epsilon_per_researcher": 4.0})])
    def test_of_a_study_a_researcher_and_the_table(self, state: State, spend: Spend, budget: Budget) -> None:
        for name in "abcdef":
            spend(name * 64, budget=budget)
            assert epsilon(state.ledger.spent("readmissions", study=name * 64), 1e-6) <= 3.0
        of_ada = epsilon(state.ledger.spent("readmissions", researcher=ADA), 1e-6)
        assert of_ada <= (budget.epsilon_per_researcher or budget.epsilon_total)
        of_bob = spend("0" * 64, researcher="bob@uni.org", budget=budget)
        assert bool(of_bob) == bool(budget.epsilon_per_researcher)  # or else Ada has taken it all
        assert epsilon(state.ledger.spent("readmissions"), 1e-6) <= 5.0
        assert state.ledger.spent("other table") == ()

    def test_a_refund_makes_room(self, state: State, spend: Spend) -> None:
        used = spend(STUDY)
        number = state.ledger.reserve(charge(used + 1, Gaussian(100.0)), BUDGET)
        before = state.ledger.spent("readmissions")
        state.ledger.refund(number)
        assert state.ledger.spent("readmissions") != before
        state.ledger.reserve(charge(used + 1, Gaussian(100.0), request="another"), BUDGET)


class TestPlan:
    def test_a_plan_spends_its_exact_epsilon_where_single_rounds_are_counted_as_more(
        self, state: State, spend: Spend
    ) -> None:
        alone = spend(STUDY)
        plan = Plan(alone + 1, (TRAINING,))
        assert epsilon(plan.events, 1e-6) <= 3.0
        for number in range(1, alone + 2):
            state.ledger.reserve(
                charge(number, study=OTHER, plan=plan.events), BUDGET.model_copy(update={"epsilon_total": 50.0})
            )
        with pytest.raises(BudgetExceeded, match="more than the study's privacy plan"):
            state.ledger.reserve(
                charge(alone + 2, study=OTHER, plan=plan.events), BUDGET.model_copy(update={"epsilon_total": 50.0})
            )

    def test_too_great_a_plan_is_told_before_its_first_round(self, state: State) -> None:
        with pytest.raises(BudgetExceeded, match=r"would spend epsilon \d+\.?\d* in all; the policy allows it 3"):
            state.ledger.reserve(charge(plan=Plan(500, (TRAINING,)).events), BUDGET)
        whole = Plan(10, (TRAINING,)).events
        tight = Budget(epsilon_per_study=1.8, epsilon_total=1.8, delta=1e-6)
        assert epsilon(whole, 1e-6) < 1.8
        with pytest.raises(BudgetExceeded, match="all studies of the table"):
            state.ledger.reserve(charge(plan=whole), tight)
        assert steps(state) == []

    def test_a_plan_cannot_be_exchanged_or_left_behind(self, state: State) -> None:
        state.ledger.reserve(charge(1, plan=Plan(5, (TRAINING,)).events), BUDGET)
        for plan in (Plan(6, (TRAINING,)).events, None):
            with pytest.raises(Refused, match="not the one of its first round"):
                state.ledger.reserve(charge(2, plan=plan), BUDGET)


class TestSettle:
    @pytest.mark.parametrize(
        ("outcome", "step"),
        [("released", "committed"), (Reason.CODE_ERROR, "committed"), (Reason.STOPPED, "committed"),
         (Reason.CONTRACT, "committed"),
         (Reason.BUDGET, "refunded"), (Reason.REVOKED, "refunded"), (Reason.OUT_OF_ORDER, "refunded")],
    )  # fmt: skip
    def test_an_answer_settles_its_round(self, state: State, outcome: str, step: str) -> None:
        state.ledger.reserve(charge(), BUDGET)
        state.ledger.reserve(charge(2), BUDGET)
        state.record_answer(STUDY, answer(1, outcome))
        assert steps(state) == ["reserved", "reserved", step]
        state.ledger.check()

    def test_a_round_without_a_reservation_is_no_concern(self, state: State) -> None:
        state.record_answer(STUDY, answer(1))
        assert steps(state) == []

    def test_a_reservation_is_settled_once(self, state: State) -> None:
        number = state.ledger.reserve(charge(), BUDGET)
        state.ledger.commit(number)
        state.ledger.commit(number)
        with pytest.raises(Refused, match="was committed already"):
            state.ledger.refund(number)
        with pytest.raises(InvalidInput, match="no reservation 99"):
            state.ledger.refund(99)
        assert steps(state) == ["reserved", "committed"]

    def test_recovery_gives_back_only_what_has_no_answer(self, state: State, tmp_path: Path) -> None:
        state.ledger.reserve(charge(1), BUDGET)
        state.record_answer(STUDY, answer(1))
        state.ledger.reserve(charge(2), BUDGET)
        restarted = State(tmp_path / "state.db")
        assert restarted.ledger.recover() == 1
        assert restarted.ledger.recover() == 0
        assert restarted.ledger.spent("readmissions") == (TRAINING,)
        restarted.ledger.reserve(charge(2), BUDGET)  # the round is run again
        restarted.close()
        assert steps(state) == ["reserved", "committed", "reserved", "refunded", "reserved"]


def test_the_database_refuses_to_change_or_delete_a_row(state: State) -> None:
    state.ledger.reserve(charge(), BUDGET)
    for statement in ("UPDATE ledger SET events = '[]'", "DELETE FROM ledger"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"), state.audit.transaction() as db:
            db.execute(statement)


def test_processes_that_reserve_at_once_never_overspend(tmp_path: Path) -> None:
    State(tmp_path / "state.db").close()
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        allowed = pool.map(spend_all, [(tmp_path / "state.db", name) for name in "abcd"])
    state = State(tmp_path / "state.db")
    assert max(allowed) < FAR_TOO_MANY
    assert len(state.ledger.rows()) == sum(allowed)
    state.ledger.check()
    assert 4.0 < epsilon(state.ledger.spent("readmissions"), 1e-6) <= 5.0
    state.close()


def spend_all(task: tuple[Path, str]) -> int:
    path, name = task
    state = State(path)
    try:
        for number in range(FAR_TOO_MANY):
            state.ledger.reserve(charge(number + 1, Gaussian(25.0), study=name * 64), WIDE)
    except BudgetExceeded:
        return number
    finally:
        state.close()
    return FAR_TOO_MANY


# more than the budget admits in all, so that a process which starts late leaves nothing unproved
FAR_TOO_MANY = 3000
WIDE = Budget(epsilon_per_study=5.0, epsilon_total=5.0, delta=1e-6)
