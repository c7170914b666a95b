from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from policies.errors import InvalidInput
from researcher.strategies import FedAvg, Scaffold, Update
from tests.support.drift import STUDY, by_the_paper, run
from tests.support.federation import stays
from tests.support.studies import modules_of

ALL = [(0, 1, 2)]


@pytest.fixture(scope="module")
def study() -> Iterator[SimpleNamespace]:
    with modules_of(STUDY) as modules:
        yield modules.study


@pytest.fixture(scope="module")
def tables() -> list[pd.DataFrame]:
    """Of 30, 50 and 70 rows, with the inputs of the third three times as long as those of the first."""
    return [stays(site, 20 * site + 10) for site in (1, 2, 3)]


def optimum(study: SimpleNamespace, tables: list[pd.DataFrame], weighted: bool) -> np.ndarray:
    """By the normal equations: of all patients pooled, or with every hospital counting alike."""
    parts = [study.data(table) for table in tables]
    scale = [1.0 if weighted else 1 / len(y) for _, y in parts]
    hessian = sum(s * x.T @ x for (x, _), s in zip(parts, scale, strict=True))
    return np.linalg.solve(hessian, sum(s * x.T @ y for (x, y), s in zip(parts, scale, strict=True)))


@pytest.mark.parametrize("weighted", [True, False])
def test_it_reaches_the_optimum_where_fedavg_stalls(study: SimpleNamespace, tables, weighted: bool) -> None:
    best = optimum(study, tables, weighted)
    corrected = run(study, tables, ALL * 150, Scaffold(hospitals=3, weighted=weighted))
    assert np.abs(corrected[-1]["weight"][0] - best).max() < 1e-6
    plain = run(study, tables, ALL * 150, FedAvg())
    stalled = [state["weight"][0] for state in plain[-2:]]
    assert np.abs(stalled[1] - stalled[0]).max() < 1e-6  # it has come to rest, elsewhere
    assert np.abs(stalled[1] - optimum(study, tables, True)).max() > 0.05


@pytest.mark.parametrize("server_rate", [1.0, 0.7])
@pytest.mark.parametrize("answering", [ALL * 8, [(0, 1), (1, 2), (2,), (0, 1, 2), (0, 2), (1,), (0, 1, 2)] * 2])
def test_each_round_is_the_papers(study: SimpleNamespace, tables, answering, server_rate: float) -> None:
    strategy = Scaffold(hospitals=3, server_rate=server_rate, weighted=False)
    ours = run(study, tables, answering, strategy)
    papers = by_the_paper([study.data(table) for table in tables], answering, server_rate)
    for state, x in zip(ours, papers, strict=True):
        np.testing.assert_allclose(state["weight"][0], x, rtol=0, atol=1e-10)


def test_whole_numbers_become_their_mean_whatever_the_rate() -> None:
    state = {"w": np.zeros(2), "n": np.asarray(4), "control/w": np.zeros(2)}
    aggregation = Scaffold(hospitals=4, server_rate=0.5).begin(state, {})
    for hospital, size in (("north", 1), ("south", 3)):
        came = {"w": np.full(2, 4.0 * size), "n": np.asarray(4 + size), "control/w": np.full(2, 8.0 * size)}
        aggregation.add(Update(hospital, came, size))
    after = aggregation.result()[0]
    assert {name: array.tolist() for name, array in after.items()} == {
        "w": [5.0, 5.0],  # half of the way to (4 + 3 * 12) / 4
        "n": 6,
        "control/w": [10.0, 10.0],  # two of four hospitals: half of the way to (8 + 3 * 24) / 4
    }


@pytest.mark.parametrize(
    "state",
    [
        {"w": np.zeros(2)},
        {"control/w": np.zeros(2)},
        {"w": np.zeros(2), "control/w": np.zeros(3)},
        {"w": np.zeros(2), "control/w": np.zeros(2, np.int64)},
    ],
)
def test_a_state_without_control_variates_is_refused(state: dict[str, np.ndarray]) -> None:
    with pytest.raises(InvalidInput, match="not one of SCAFFOLD"):
        Scaffold(hospitals=2).begin(state, {})


def test_more_hospitals_than_it_was_told_of_are_refused() -> None:
    state = {"w": np.zeros(1), "control/w": np.zeros(1)}
    aggregation = Scaffold(hospitals=1).begin(state, {})
    aggregation.add(Update("north", state, 1))
    aggregation.add(Update("south", state, 1))
    with pytest.raises(InvalidInput, match="told of 1"):
        aggregation.result()[0]


@pytest.mark.parametrize(("hospitals", "rate"), [(0, 1.0), (1, 0.0), (1, float("inf")), (1, float("nan"))])
def test_settings_that_mean_nothing_are_refused(hospitals: int, rate: float) -> None:
    with pytest.raises(InvalidInput):
        Scaffold(hospitals=hospitals, server_rate=rate)
