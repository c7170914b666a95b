from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import researcher as wr
from datasites.wire.reasons import Reason
from researcher.exchange import Answer
from researcher.strategies import Update
from researcher.strategies.layout import Layout
from researcher.topology.gossip import Mixing
from researcher.topology.graph import Given, Graph
from tests.researcher.topology.conftest import Simulated

LIKE = {"w": np.zeros(5, np.float32), "steps": np.zeros((), np.int64), "bn.running_mean": np.zeros(2)}
SIZE = 8


def mixed(
    graph: Graph, models: dict[str, np.ndarray], trained: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The models after a round, and the mean as it would be sent."""
    layout = Layout(LIKE)
    mixing = Mixing(layout, models, graph, {name: name for name in models})
    for hospital, vector in trained.items():
        mixing.add(Update(hospital, layout.parts(vector), 1))
    mean, after = mixing.result()
    return after, mean


@given(st.integers(2, 9), st.data())
def test_mixing_keeps_the_mean_whoever_answers(n: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    names = [f"h{i}" for i in range(n)]
    models = {name: rng.normal(size=SIZE) for name in names}
    answering = data.draw(st.lists(st.sampled_from(names), unique=True))
    trained = {name: rng.normal(size=SIZE) for name in answering}
    after, mean = mixed(wr.Ring(), models, trained)
    before = np.mean([trained.get(name, models[name]) for name in names], axis=0)
    assert np.mean(list(after.values()), axis=0) == pytest.approx(before, abs=1e-12)
    assert mean["bn.running_mean"] == pytest.approx(Layout(LIKE).parts(before)["bn.running_mean"], abs=1e-12)
    for name in set(names) - set(answering):
        assert (after[name] == models[name]).all()


@pytest.mark.parametrize("graph", [wr.Ring(), wr.Exponential(), Given({f"h{i}": [f"h{i + 1}"] for i in range(8)})])
def test_the_mean_reaches_the_optimum_of_all_and_models_stay_near_it(graph: Graph) -> None:
    """Hospital i's loss is half the squared distance to b_i: the optimum of all is the mean of b."""
    rng, names, step = np.random.default_rng(1), [f"h{i}" for i in range(9)], 0.05
    places = {name: rng.normal(size=SIZE) for name in names}
    optimum = np.mean(list(places.values()), axis=0)
    models = {name: np.zeros(SIZE) for name in names}
    for _ in range(400):
        trained = {name: model + step * (places[name] - model) for name, model in models.items()}
        models, _ = mixed(graph, models, trained)
    assert np.mean(list(models.values()), axis=0) == pytest.approx(optimum, abs=1e-8)
    apart = max(np.linalg.norm(model - optimum) for model in models.values())
    alone = max(np.linalg.norm(place - optimum) for place in places.values())
    assert apart < 0.6 * alone


def test_the_better_connected_network_agrees_faster() -> None:
    names = [f"h{i:02d}" for i in range(16)]
    start = {name: np.random.default_rng(i).normal(size=SIZE) for i, name in enumerate(names)}

    def left(graph: Graph) -> float:
        models = start
        for _ in range(5):
            models, _ = mixed(graph, models, models)
        return float(np.linalg.norm(np.stack(list(models.values())) - np.mean(list(models.values()), axis=0)))

    path = Given({one: [other] for one, other in pairwise(names)})
    assert left(wr.Exponential()) < 0.05 * left(wr.Ring()) < 0.05 * left(path)


def test_rounds_over_a_ring_agree_on_what_no_hospital_wants_alone(pulling: Simulated) -> None:
    with pulling(12) as simulated:
        result = wr.Gossip(simulated).run()
    assert result.parameters["w"] == pytest.approx(np.full(8, 3.0), abs=0.1)
    assert np.mean([model["w"] for model in result.models.values()], axis=0) == pytest.approx(result.parameters["w"])
    assert set(result.models) == {"east", "north", "south", "west"}
    assert result.consensus.index.tolist() == list(range(1, 13))
    distances = [np.linalg.norm(model["w"] - result.parameters["w"]) for model in result.models.values()]
    assert result.consensus.iloc[-1] == pytest.approx(np.sqrt(np.mean(np.square(distances))))
    assert max(distances) < np.linalg.norm(np.full(8, 6.0 - 3.0))
    own = result.per_hospital("mean")  # each evaluated its own model
    assert own["west"] == pytest.approx(float(result.models["west"]["w"].mean()))
    assert own["west"] > own["east"]
    assert result.plot_consensus().axes[0].get_yscale() == "log"
    state = 8 * 8
    assert result.bytes == (4 * 13 * state, 4 * 12 * state)


def test_a_network_that_was_stopped_goes_on_where_it_stopped(pulling: Simulated) -> None:
    with pulling(4) as simulated:
        whole = wr.Gossip(simulated, wr.Exponential(), evaluate=False).run()
    with pulling(4) as simulated:
        wr.Gossip(simulated, wr.Exponential(), evaluate=False).run(rounds=2)
        with pytest.raises(wr.InvalidInput, match=r"begun with Gossip\(\), not FedAvg"):
            wr.Rounds(simulated).run()
        resumed = wr.Gossip(simulated, wr.Exponential(), evaluate=False).run()
    for name, model in whole.models.items():
        assert (model["w"] == resumed.models[name]["w"]).all()


def test_a_hospital_that_is_away_keeps_its_model_and_one_that_leaves_takes_it_along(pulling: Simulated) -> None:
    def revoked(number: int, sent: dict[str, Any], answers: dict[str, Answer]) -> dict[str, Answer]:
        west = answers.get("west")
        if number < 3 or west is None or west.reply is None:
            return answers
        reply = west.reply.model_copy(update={"reason": Reason.REVOKED, "fit": None, "evaluate": None})
        return {**answers, "west": Answer("west", reply)}

    late = lambda hospital, number: 25.0 if (hospital, number) == ("west", 2) else 1.0  # noqa: E731
    seen: list[dict[str, np.ndarray]] = []
    with pulling(5, delay=late, tamper=revoked, joins={"south": 2}) as simulated:
        gossip = wr.Gossip(simulated, deadline=10, evaluate=False)
        for _ in range(5):
            result = gossip.run(rounds=1)
            seen.append({name: model["w"] for name, model in result.models.items()})
    assert [sorted(models) for models in seen] == [
        ["east", "north", "west"],
        ["east", "north", "south", "west"],
        ["east", "north", "south", "west"],
        ["east", "north", "south", "west"],
        ["east", "north", "south"],
    ]
    for models in seen[1:4]:  # no answer in time, still at work on that round, revoked
        assert (models["west"] == seen[0]["west"]).all()
    rows = result.hospitals[result.hospitals["hospital"] == "west"]["problem"].tolist()
    assert rows == ["", *["No answer within 10 seconds."] * 2, Reason.REVOKED.text]


def test_what_no_network_can_be_made_of_is_refused_before_anybody_is_asked(pulling: Simulated) -> None:
    with pulling() as simulated:
        with pytest.raises(wr.InvalidInput, match="west approved the study, and is not in the graph"):
            wr.Gossip(simulated, {"east": ["north", "south"]}).run()
        # the graph is whole, but not among those that are there
        with pytest.raises(wr.InvalidInput, match=r"no way leads from east to north, south, west"):
            wr.Gossip(simulated, {"east": ["far"], "far": ["north"], "north": ["south", "west"]}).run()
        assert simulated.journal.checkpoint().messages == 0
