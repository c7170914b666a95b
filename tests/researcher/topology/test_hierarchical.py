from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import researcher as wr
from datasites.wire.arrays import Arrays
from researcher.strategies import FedAvg, FedAvgM, Strategy, Update
from researcher.topology.hierarchical import TieredAggregation, Tiers
from tests.researcher.topology.conftest import TABLES, Simulated
from tests.support.federation import expected_state, same_bits

REGIONS = {"coast": ["east", "west"], "inland": ["north", "south"]}


def model(seed: int, dtype: Any) -> Arrays:
    rng = np.random.default_rng(seed)
    return {"w": rng.normal(size=(7, 3)).astype(dtype), "bn.running_var": rng.uniform(0.1, 2, 3).astype(dtype)}


@given(st.integers(1, 10), st.data())
@pytest.mark.parametrize(("dtype", "near"), [(np.float64, 1e-12), (np.float32, 1e-6)])
@pytest.mark.parametrize("strategy", [FedAvg(), FedAvgM(momentum=0.5)])
def test_the_nations_mean_is_that_of_all_hospitals_however_they_are_grouped(
    strategy: Strategy, dtype: Any, near: float, n: int, data: st.DataObject
) -> None:
    regions: dict[str, list[str]] = {}
    for i in range(n):
        regions.setdefault(data.draw(st.sampled_from("abc")), []).append(f"h{i}")
    examples = [data.draw(st.integers(1, 10**6)) for _ in range(n)]
    updates = [Update(f"h{i}", model(i, dtype), examples[i]) for i in range(n)]
    current, names = model(99, dtype), {f"h{i}": f"h{i}" for i in range(n)}
    flat, tree = strategy.begin(current, {}), TieredAggregation(Tiers(regions, 1), names, strategy, current, {})
    for update in updates:
        flat.add(update)
        tree.add(update)
    (expected, kept), (found, remembered) = flat.result(), tree.result()
    for name, array in expected.items():
        assert found[name].dtype == dtype
        assert found[name] == pytest.approx(array, rel=near, abs=near)
    assert remembered.keys() == kept.keys()


def test_a_tree_gives_what_a_star_gives_and_goes_on_where_it_stopped(counting: Simulated) -> None:
    with counting(3) as simulated:
        wr.Hierarchical(simulated, REGIONS, evaluate=False).run(rounds=1)
        result = wr.Hierarchical(simulated, REGIONS).run()
    expected = expected_state(list(TABLES.values()), [1, 2, 3])
    assert (result.parameters["w"] == expected["w"]).all()
    assert result.parameters["b"] == pytest.approx(expected["b"], rel=1e-12)
    assert result.strategy == "Hierarchical FedAvg"
    assert result.round == 3


def test_a_region_below_its_quorum_sits_the_round_out_and_is_told_so(counting: Simulated) -> None:
    late = lambda hospital, number: 25.0 if hospital == "west" and number < 3 else 1.0  # noqa: E731
    with counting(2, delay=late) as simulated:
        result = wr.Hierarchical(simulated, REGIONS, min_regions=1, deadline=10, evaluate=False).run(rounds=1)
        inland = [TABLES["north"], TABLES["south"]]
        assert same_bits(result.parameters, expected_state(inland, [1]))
        problems = result.hospitals.set_index("hospital")["problem"]
        assert problems["east"] == "Its region sat the round out: coast had 1 of 2."
        assert problems["west"] == "No answer within 10 seconds."
        assert problems["north"] == problems["south"] == ""
        with pytest.raises(wr.RoundFailed, match=r"1 regions with their quorum, of 2 .*coast had 1 of 2"):
            wr.Hierarchical(simulated, REGIONS, deadline=10, evaluate=False).run()
        assert simulated.journal.checkpoint().round == 1


def test_a_region_that_cannot_have_its_quorum_is_not_asked(counting: Simulated) -> None:
    with counting(2, joins={"west": 5}) as simulated:
        result = wr.Hierarchical(simulated, REGIONS, min_regions=1, evaluate=False).run(rounds=1)
        rows = result.hospitals.set_index("hospital")
        assert rows.loc["east", "problem"] == "Not asked: of its region only 1 of 2 take part."
        assert rows["train_examples"].dropna().index.tolist() == ["north", "south"]
        state = sum(array.nbytes for array in result.parameters.values())
        assert result.bytes == (2 * state, 2 * state)
        with pytest.raises(wr.RoundFailed, match="Too few regions are left"):
            wr.Hierarchical(simulated, REGIONS, evaluate=False).run()
        assert simulated.journal.checkpoint().messages == 1  # nobody was asked in vain


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"regions": {"a": []}}, "at least one hospital"),
        ({"regions": {"a": ["east", "west"], "b": ["west"]}}, "west stands twice"),
        ({"regions": REGIONS, "quorum": 3}, "cannot be had in coast"),
        ({"regions": REGIONS, "quorum": {"sea": 1}}, "sea, which is no region"),
        ({"regions": REGIONS, "min_regions": 3}, "There are 2 regions"),
        ({"regions": REGIONS, "strategy": wr.Median()}, "There are 2 regions; a round would need 3"),
        ({"regions": {"a": ["east", "west"], "b": ["north"]}}, "south approved the study, and is not in a region"),
    ],
)
def test_what_could_not_work_is_refused(counting: Simulated, options: dict[str, Any], why: str) -> None:
    with counting() as simulated, pytest.raises(wr.InvalidInput, match=why):
        wr.Hierarchical(simulated, **options).run()
