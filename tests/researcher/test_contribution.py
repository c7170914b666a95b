from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

import researcher as wr
from datasites.wire.arrays import Arrays
from researcher.contribution import EXACT
from researcher.strategies import Update

CURRENT: Arrays = {"w": np.zeros(3)}


def updates(n: int) -> list[Update]:
    rng = np.random.default_rng(n)
    return [Update(f"h{i}", {"w": rng.normal(size=3)}, int(rng.integers(5, 50))) for i in range(n)]


def utility(state: Arrays) -> float:
    """Not additive, so that orders matter."""
    return -float(((state["w"] - 0.3) ** 2).sum()) + float(np.tanh(state["w"][0]))


def by_definition(given: list[Update]) -> dict[str, float]:
    """The mean marginal contribution over every order of the hospitals, with FedAvg by its formula."""

    def value(members: tuple[Update, ...]) -> float:
        if not members:
            return utility(CURRENT)
        total = sum(u.num_examples for u in members)
        return utility({"w": sum(u.parameters["w"] * u.num_examples for u in members) / total})

    scores = dict.fromkeys((u.hospital for u in given), 0.0)
    orders = list(permutations(given))
    for order in orders:
        for place, one in enumerate(order):
            scores[one.hospital] += (value(order[: place + 1]) - value(order[:place])) / len(orders)
    return scores


@pytest.mark.parametrize("n", [1, 2, 5])
def test_exact_shapley_values_are_those_of_the_definition(n: int) -> None:
    table = wr.contributions(CURRENT, updates(n), utility).set_index("hospital")
    expected = by_definition(updates(n))
    assert table["shapley"].to_dict() == pytest.approx(expected, abs=1e-12)
    assert table["error"].tolist() == [0.0] * n


def test_they_share_out_all_that_was_gained() -> None:
    given = updates(EXACT)
    table = wr.contributions(CURRENT, given, utility)
    total = sum(u.num_examples for u in given)
    whole = utility({"w": sum(u.parameters["w"] * u.num_examples for u in given) / total})
    assert table["shapley"].sum() == pytest.approx(whole - utility(CURRENT))


def test_leave_one_out_is_what_the_model_loses_without_a_hospital() -> None:
    given = updates(3)
    table = wr.contributions(CURRENT, given, utility).set_index("hospital")

    def value(members: list[Update]) -> float:
        total = sum(u.num_examples for u in members)
        return utility({"w": sum(u.parameters["w"] * u.num_examples for u in members) / total})

    for i, update in enumerate(given):
        expected = value(given) - value(given[:i] + given[i + 1 :])
        assert table["leave_one_out"][update.hospital] == pytest.approx(expected)


def test_beyond_eight_hospitals_random_orders_come_within_their_error(monkeypatch: pytest.MonkeyPatch) -> None:
    given = updates(7)
    exact = wr.contributions(CURRENT, given, utility)["shapley"]
    monkeypatch.setattr("researcher.contribution.EXACT", 6)
    sampled = wr.contributions(CURRENT, given, utility, orders=400, seed=1)
    assert (sampled["error"] > 0).all()
    assert (np.abs(sampled["shapley"] - exact) < 4 * sampled["error"]).all()
    again = wr.contributions(CURRENT, given, utility, orders=400, seed=1)
    assert sampled.equals(again)


def test_nobody_and_a_hospital_twice_are_refused() -> None:
    for wrong in ([], [*updates(2), updates(2)[0]]):
        with pytest.raises(wr.InvalidInput):
            wr.contributions(CURRENT, wrong, utility)
