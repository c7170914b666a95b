"""Flower's own strategies over simulated hospitals, held against ours. Needs the extra: pip install '.[flower]'"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import researcher as wr
from datasites.wire.dictionary import Dictionary
from datasites.wire.reasons import Reason
from tests.support.federation import DICTIONARY, STUDY, stays

pytest.importorskip("flwr", reason="Flower is not installed: pip install '.[flower]'")

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp.strategy import FedAdagrad, FedAvg, FedMedian, FedProx

LINE = """
import numpy as np

def initialize(config):
    return {"w": np.zeros(3), "n": np.asarray(0)}

def fit(parameters, table, config):
    x = np.stack([np.ones(len(table)), table["site"], table["days"] / 30], axis=1).astype(float)
    w = parameters["w"].copy()
    for _ in range(config["steps"]):
        w -= 0.05 * x.T @ (x @ w - table["readmitted"]) / len(x)
    return {"w": w, "n": parameters["n"] + 1}, len(table), {"loss": float(np.abs(w).sum())}

def evaluate(parameters, table, config):
    metrics = {"loss": float(np.abs(parameters["w"]).sum())}
    if table["site"].iloc[0] > 1:
        metrics["auc"] = 0.5
    return len(table), metrics
"""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.getLogger("flwr").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("flwr").setLevel(logging.INFO)


@pytest.fixture(scope="module")
def tables() -> dict[str, Any]:
    return {name: stays(site, 20 * site + 10) for site, name in enumerate(("east", "north", "south"), 1)}


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory, tables: dict[str, Any]) -> Iterator[wr.Simulation]:
    """Of three rounds of a least-squares study; each test begins it anew."""
    code = tmp_path_factory.mktemp("line")
    (code / "study.py").write_text(LINE)
    study = wr.Study("line", "Test", code, "stays", 3, {"steps": 5, "proximal_mu": 0.5})
    with wr.Simulation(study, tables, Dictionary.load(DICTIONARY), processes=1) as opened:
        yield opened


@pytest.fixture
def grid(simulation: wr.Simulation) -> Any:
    simulation.restart(seed=0)
    return wr.flower_grid(simulation)


def start(strategy: Any, grid: Any, rounds: int = 3, **more: Any) -> Any:
    return strategy.start(grid, grid.initial_arrays(), num_rounds=rounds, **more)


def ours(simulation: wr.Simulation, strategy: wr.Strategy) -> wr.Result:
    simulation.restart(seed=0)
    return wr.Rounds(simulation, strategy).run()


@pytest.mark.parametrize(
    ("theirs", "mine"),
    [
        (FedAvg, wr.FedAvg()),
        (FedMedian, wr.Median()),
        (lambda: FedAdagrad(eta=0.05, tau=1e-3), wr.FedAdagrad(learning_rate=0.05, tau=1e-3)),
    ],
    ids=["FedAvg", "FedMedian", "FedAdagrad"],
)
def test_an_unchanged_strategy_of_flowers_trains_what_ours_does(simulation, grid: Any, theirs: Any, mine: Any) -> None:
    found = grid.result(start(theirs(), grid).arrays, "Flower's")
    expected = ours(simulation, mine)
    np.testing.assert_allclose(found.parameters["w"], expected.parameters["w"], rtol=1e-12)
    assert np.abs(found.parameters["w"]).max() > 0.01
    assert found.parameters["n"].dtype == np.int64
    if theirs in (FedAvg, FedMedian):  # Flower's optimizers step counters too, which ends anywhere
        assert found.parameters["n"] == expected.parameters["n"] == 3
    assert found.rounds["mean_loss"].tolist() == pytest.approx(expected.rounds["mean_loss"].tolist()[1:], rel=1e-12)
    assert (found.round, found.rounds["hospitals"].tolist()) == (3, [3, 3, 3])


def test_metrics_that_all_report_reach_flower_and_the_rest_the_history(grid: Any) -> None:
    done = start(FedAvg(), grid, 1)
    assert set(done.evaluate_metrics_clientapp[1]) == {"loss"}
    assert grid.history().per_hospital("auc").dropna().to_dict() == {"north": 0.5, "south": 0.5}


def test_a_config_that_was_not_approved_is_refused_before_anything_is_sent(simulation, grid: Any) -> None:
    with pytest.raises(wr.InvalidInput, match="steps=6"):
        start(FedAvg(), grid, train_config=ConfigRecord({"steps": 6}))
    with pytest.raises(wr.InvalidInput, match=r"proximal-mu=0\.1"):
        start(FedProx(proximal_mu=0.1), grid)
    assert simulation.journal.checkpoint().messages == 0
    assert start(FedProx(proximal_mu=0.5), grid, 1).arrays is not None  # as approved


def test_other_messages_are_refused(grid: Any) -> None:
    node = grid.get_node_ids()[0]
    content = RecordDict({"arrays": grid.initial_arrays()})
    for messages, why in (
        ([Message(content, node, "query")], "not asked to query"),
        ([Message(content, 7, "train")], "No hospital is node 7"),
        ([Message(content, node, "train")] * 2, "two messages"),
        ([Message(RecordDict(), node, "train")], "0 models"),
    ):
        with pytest.raises(wr.InvalidInput, match=why):
            grid.send_and_receive(messages)


def test_a_hospital_that_fails_is_told_of_and_the_round_goes_on(tables: dict[str, Any]) -> None:
    study = wr.Study("counting", "Test", STUDY, "stays", 2, {"acts": {"1": {"act": "raise", "rounds": [1]}}})
    with wr.Simulation(study, tables, Dictionary.load(DICTIONARY), processes=1) as simulation:
        grid = wr.flower_grid(simulation)
        nodes = grid.get_node_ids()
        messages = [Message(RecordDict({"arrays": grid.initial_arrays()}), node, "train") for node in nodes]
        keys = grid.push_messages(messages)
        replies = {grid.hospital(r.metadata.src_node_id).split("@")[0]: r for r in grid.pull_messages(keys)}
        assert grid.pull_messages(keys) == []
        assert replies["east"].error.reason == Reason.CODE_ERROR.text
        assert [r.has_content() for r in replies.values()] == [False, True, True]
        assert (simulation.journal.checkpoint().round, simulation.journal.checkpoint().messages) == (1, 1)


def test_flower_and_our_rounds_do_not_mix(simulation: wr.Simulation, grid: Any) -> None:
    start(FedAvg(fraction_evaluate=0.0), grid, 1)
    with pytest.raises(wr.InvalidInput, match="begun with Flower"):
        wr.Rounds(simulation).run()
    ours(simulation, wr.FedAvg())
    with pytest.raises(wr.InvalidInput, match="begun with FedAvg"):
        wr.flower_grid(simulation)


def test_a_strategy_can_be_started_again_and_numbers_are_not_used_twice(simulation: wr.Simulation, grid: Any) -> None:
    first = start(FedAvg(fraction_evaluate=0.0), grid, 1)
    again = wr.flower_grid(simulation)
    second = FedAvg(fraction_evaluate=0.0).start(again, first.arrays, num_rounds=2)
    found, expected = again.result(second.arrays), ours(simulation, wr.FedAvg())
    assert found.round == 3
    np.testing.assert_allclose(found.parameters["w"], expected.parameters["w"], rtol=1e-12)
