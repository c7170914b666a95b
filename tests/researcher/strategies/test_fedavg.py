from __future__ import annotations

import gc
import weakref
from functools import reduce
from typing import Any

import numpy as np
import pytest

from policies.errors import InvalidInput
from researcher.errors import RoundFailed
from researcher.strategies import FedAvg, Update

Arrays = dict[str, np.ndarray[Any, Any]]


def model(seed: int) -> Arrays:
    rng = np.random.default_rng(seed)
    return {
        "layer.weight": rng.normal(size=(5, 3)).astype(np.float32),
        "layer.bias": rng.normal(size=3),
        "scale": np.asarray(rng.normal()),
        "num_batches_tracked": np.asarray(rng.integers(0, 100)),
    }


def averaged(updates: list[tuple[Arrays, int]]) -> Arrays:
    aggregation = FedAvg().begin(model(0), {})
    for index, (parameters, examples) in enumerate(updates):
        aggregation.add(Update(f"do@h{index}.org", parameters, examples))
    return aggregation.result()[0]


def flowers(results: list[tuple[list[np.ndarray[Any, Any]], int]]) -> list[np.ndarray[Any, Any]]:
    """Flower's formula (flwr.server.strategy.aggregate.aggregate), written out."""
    total = sum(examples for _, examples in results)
    weighted = [[layer * examples for layer in weights] for weights, examples in results]
    return [reduce(np.add, layers) / total for layers in zip(*weighted, strict=True)]


def test_the_mean_is_numpys_weighted_average() -> None:
    updates = [(model(seed), examples) for seed, examples in ((1, 10), (2, 330), (3, 7))]
    mean = averaged(updates)
    for name in ("layer.weight", "layer.bias", "scale"):
        stacked = np.stack([parameters[name].astype(np.float64) for parameters, _ in updates])
        expected = np.average(stacked, axis=0, weights=[examples for _, examples in updates])
        np.testing.assert_allclose(mean[name], expected, rtol=1e-6)


def test_it_is_flowers_formula() -> None:
    updates = [(model(seed), examples) for seed, examples in ((4, 3), (5, 5), (6, 1000))]
    floats = ("layer.weight", "layer.bias", "scale")
    expected = flowers([([parameters[name] for name in floats], examples) for parameters, examples in updates])
    for name, theirs in zip(floats, expected, strict=True):
        np.testing.assert_allclose(averaged(updates)[name], theirs, rtol=1e-5)


def test_names_shapes_and_dtypes_are_those_of_the_state() -> None:
    mean = averaged([(model(1), 2), (model(2), 3)])
    assert {n: (a.shape, a.dtype, type(a)) for n, a in mean.items()} == {
        n: (a.shape, a.dtype, np.ndarray) for n, a in model(0).items()
    }


def test_whole_numbers_and_booleans_are_rounded() -> None:
    current: Arrays = {"n": np.array([0, 0], np.int64), "on": np.array([False, False])}
    aggregation = FedAvg().begin(current, {})
    aggregation.add(Update("a", {"n": np.array([1, 10]), "on": np.array([True, True])}, 3))
    aggregation.add(Update("b", {"n": np.array([2, 20]), "on": np.array([True, False])}, 4))
    mean = aggregation.result()[0]
    assert mean["n"].tolist() == [2, 16]  # 11/7 and 110/7
    assert mean["on"].tolist() == [True, False]
    assert (mean["n"].dtype, mean["on"].dtype) == (np.int64, np.bool_)


def test_large_half_precision_sums_do_not_overflow() -> None:
    aggregation = FedAvg().begin({"w": np.zeros(1, np.float16)}, {})
    for hospital in "abc":
        aggregation.add(Update(hospital, {"w": np.array([60_000], np.float16)}, 100_000))
    assert aggregation.result()[0]["w"].tolist() == [60_000]


def test_no_update_is_kept() -> None:
    aggregation, refs = FedAvg().begin(model(0), {}), []
    for seed in range(1, 6):
        update = Update(f"h{seed}", model(seed), seed)
        refs += [weakref.ref(update), *(weakref.ref(array) for array in update.parameters.values())]
        aggregation.add(update)
        del update
    gc.collect()
    assert [ref() for ref in refs] == [None] * len(refs)
    assert aggregation.result()[0]


def test_nothing_given_is_changed() -> None:
    current, one = model(0), model(1)
    aggregation = FedAvg().begin(current, {})
    aggregation.add(Update("a", one, 5))
    aggregation.result()[0]
    for before, after in ((model(0), current), (model(1), one)):
        assert all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    "change",
    [{"scale": np.zeros(1)}, {"layer.bias": np.zeros(1)}, {"extra": np.zeros(1)}, {"layer.weight": np.zeros((3, 5))}],
)
def test_an_update_that_does_not_fit_is_refused_whole(change: Arrays) -> None:
    aggregation = FedAvg().begin(model(0), {})
    aggregation.add(Update("a", model(1), 5))
    with pytest.raises(InvalidInput, match="update of b"):
        aggregation.add(Update("b", {**model(2), **change}, 5))
    assert all(np.allclose(array, model(1)[name]) for name, array in aggregation.result()[0].items())


def test_missing_arrays_and_no_examples_are_refused() -> None:
    aggregation = FedAvg().begin(model(0), {})
    for parameters, examples in (({"scale": np.asarray(1.0)}, 5), (model(1), 0), (model(1), -3)):
        with pytest.raises(InvalidInput, match="does not fit the model"):
            aggregation.add(Update("b", parameters, examples))
    with pytest.raises(RoundFailed, match="no update"):
        aggregation.result()[0]


def test_weights_that_are_given_take_the_place_of_what_hospitals_report() -> None:
    aggregation = FedAvg(weights={"do@a.org": 3.0, "do@b.org": 1.0}).begin({"w": np.zeros(1)}, {})
    aggregation.add(Update("do@a.org", {"w": np.array([4.0])}, 1))
    aggregation.add(Update("do@b.org", {"w": np.array([0.0])}, 1_000))
    assert aggregation.result()[0]["w"] == 3.0
    with pytest.raises(InvalidInput, match="no weight for do@c"):
        aggregation.add(Update("do@c.org", {"w": np.zeros(1)}, 1))
    with pytest.raises(InvalidInput, match="above 0"):
        FedAvg(weights={"do@a.org": 0.0})
