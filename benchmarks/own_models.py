"""The methods of `benchmarks.algorithms` that do not just average, or after which hospitals' models differ.

Each is a `Travel`: after each round, every hospital's model, and the round's bytes to and from all hospitals.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd

from benchmarks.topologies import Problem, Travel, initial, trained
from datasites.wire.arrays import Arrays, nbytes
from researcher.asynchronous import polynomial
from researcher.buffer import Step, difference
from researcher.clustering import Criterion
from researcher.free_riders import Watch
from researcher.strategies import FedAvg, Strategy, Update

Models = Iterator[tuple[dict[str, Arrays], int]]


def alone(problem: Problem, rounds: int) -> Models:
    """Every hospital for itself, with as many steps as it takes in a federation."""
    models = dict.fromkeys(problem.tables, initial(problem))
    for number in range(1, rounds + 1):
        models = {hospital: trained(problem, hospital, model, number).parameters for hospital, model in models.items()}
        yield models, 0


def pooled(problem: Problem, rounds: int) -> Models:
    """What no federation can do: all rows in one table, with as many steps as all hospitals take together."""
    state, steps = initial(problem), problem.config["max_batches"] * len(problem.tables)
    table = pd.concat(list(problem.tables.values()), ignore_index=True)
    for number in range(1, rounds + 1):
        config = {**problem.config, "max_batches": steps, "round": number}
        state = problem.study.fit(state, table, config)[0]
        yield dict.fromkeys(problem.tables, state), 0


def clustered(problem: Problem, rounds: int) -> Models:
    """FedAvg in one cluster, parted in two as `ClusteredRounds` parts it."""
    models = dict.fromkeys(problem.tables, initial(problem))
    watches = {tuple(problem.tables): Watch()}
    for number in range(1, rounds + 1):
        for cluster, watch in list(watches.items()):
            state = models[cluster[0]]
            aggregation = FedAvg().begin(state, {})
            watch.begin(state)
            for hospital in cluster:
                update = trained(problem, hospital, state, number)
                watch.see(update)
                aggregation.add(update)
            models |= dict.fromkeys(cluster, aggregation.result()[0])
            if parts := Criterion().parts(watch.rounds):
                del watches[cluster]
                watches |= {tuple(part): Watch() for part in parts}
        yield dict(models), 2 * nbytes(models[next(iter(models))]) * len(models)


def buffered(share: float) -> Travel:
    """FedBuff with a buffer of a share of the hospitals, at least two. Each next hospital takes half as long again as
    the one before, up to three times as long as the first. A round is as many updates as there are hospitals; they come
    from the quick ones more often."""

    def run(problem: Problem, rounds: int) -> Models:
        state, hospitals = initial(problem), list(problem.tables)
        size = max(2, round(share * len(hospitals)))
        step, sent = Step(0, 0), dict.fromkeys(hospitals, (state, 0))
        pace = {hospital: 1 + 0.5 * (place % 5) for place, hospital in enumerate(hospitals)}
        queue = [(pace[hospital], hospital) for hospital in hospitals]
        heapq.heapify(queue)
        for number in range(1, rounds + 1):
            for _ in hospitals:
                now, hospital = heapq.heappop(queue)
                base, version = sent[hospital]
                update = trained(problem, hospital, base, number)
                delta, discount = difference(update.parameters, base, state), polynomial(step.version - version)
                step = step.with_update(delta, update.num_examples, discount)
                if step.count == size:
                    state, step = step.applied(state, 1.0), Step(0, step.version + 1)
                sent[hospital] = (state, step.version)
                heapq.heappush(queue, (now + pace[hospital], hospital))
            yield dict.fromkeys(hospitals, state), 2 * nbytes(state) * len(hospitals)

    return run


def keeping(strategy: Callable[[int], Strategy], personal: bool = False) -> Travel:
    """A study that keeps arrays at the hospital between rounds: parts of its own model where `personal`.

    strategy: makes one for a number of hospitals."""

    def run(problem: Problem, rounds: int) -> Models:
        state, memory, method = initial(problem), {}, strategy(len(problem.tables))
        kept: dict[str, Arrays] = {hospital: {} for hospital in problem.tables}
        for number in range(1, rounds + 1):
            aggregation = method.begin(state, memory)
            for hospital, table in problem.tables.items():
                config: dict[str, Any] = {**problem.config, "round": number}
                parameters, examples, _, kept[hospital] = problem.study.fit(state, table, config, kept[hospital])
                aggregation.add(Update(hospital, parameters, examples))
            state, memory = aggregation.result()
            yield (
                {hospital: state | (kept[hospital] if personal else {}) for hospital in kept},
                2 * nbytes(state) * len(kept),
            )

    return run
