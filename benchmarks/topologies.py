"""The methods of `benchmarks.algorithms` that differ in how the model travels, by the library's own aggregations.

Bytes are those to and from all hospitals, as the library sends them, and between regional aggregators and the nation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pandas as pd

from datasites.wire.arrays import Arrays, nbytes
from researcher.strategies import FedAvg, Update
from researcher.strategies.layout import Layout
from researcher.topology.cyclic import Handover
from researcher.topology.gossip import Mixing
from researcher.topology.graph import Graph
from researcher.topology.hierarchical import TieredAggregation, Tiers


class Problem(Protocol):
    """As in `benchmarks.algorithms`."""

    study: Any
    tables: dict[str, pd.DataFrame]
    config: dict[str, Any]


# after each round: every hospital's model, and the round's bytes
Travel = Callable[[Problem, int], Iterator[tuple[dict[str, Arrays], int]]]


def hierarchical(problem: Problem, rounds: int) -> Iterator[tuple[dict[str, Arrays], int]]:
    """Two regions, of every other hospital each."""
    hospitals = list(problem.tables)
    tiers = Tiers({"north": hospitals[::2], "south": hospitals[1::2]}, quorum=1)
    state = initial(problem)
    for number in range(1, rounds + 1):
        aggregation = TieredAggregation(tiers, dict(zip(hospitals, hospitals, strict=True)), FedAvg(), state, {})
        for hospital in hospitals:
            aggregation.add(trained(problem, hospital, state, number))
        state, _ = aggregation.result()
        yield dict.fromkeys(hospitals, state), 2 * nbytes(state) * (len(hospitals) + 2)


def gossip(graph: Graph) -> Travel:
    """Each hospital's own model, which the researcher carries as in a star."""

    def run(problem: Problem, rounds: int) -> Iterator[tuple[dict[str, Arrays], int]]:
        hospitals, first = sorted(problem.tables), initial(problem)
        layout = Layout(first)
        models, names = dict.fromkeys(hospitals, layout.vector(first)), dict(zip(hospitals, hospitals, strict=True))
        for number in range(1, rounds + 1):
            mixing = Mixing(layout, models, graph, names)
            for hospital in hospitals:
                mixing.add(trained(problem, hospital, layout.arrays(models[hospital]), number))
            models = mixing.result()[1]
            own = {hospital: layout.arrays(model) for hospital, model in models.items()}
            yield own, 2 * nbytes(first) * len(hospitals)

    return run


def cyclic(problem: Problem, rounds: int) -> Iterator[tuple[dict[str, Arrays], int]]:
    """A round is a cycle in the order of names."""
    state = initial(problem)
    for number in range(1, rounds + 1):
        for hospital in problem.tables:
            turn = Handover(state)
            turn.add(trained(problem, hospital, state, number))
            state, _ = turn.result()
        yield dict.fromkeys(problem.tables, state), 2 * nbytes(state) * len(problem.tables)


def initial(problem: Problem) -> Arrays:
    """The study's first model."""
    state: Arrays = problem.study.initialize({**problem.config, "round": 0})
    return state


def trained(problem: Problem, hospital: str, state: Arrays, number: int) -> Update:
    """What a hospital makes of a state in a round."""
    arrays, examples, _ = problem.study.fit(state, problem.tables[hospital], {**problem.config, "round": number})
    return Update(hospital, arrays, examples)
