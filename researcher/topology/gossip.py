"""Training in a network without a centre: every hospital has a model of its own, which it mixes with its neighbours'.

Lian et al. (2017), Can Decentralized Algorithms Outperform Centralized Algorithms? (D-PSGD), in the order adapt, then
combine: x_i <- sum over j of W_ij y_j, with y_j what hospital j made of x_j in its local steps. W: see `graph`.

The arithmetic is that of such a network. The post is not: the researcher's notebook carries the models and mixes them,
and sees each one. Hospitals that send them to each other: `gossiping`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from datasites.wire.arrays import Arrays
from datasites.wire.gossip.mixing import metropolis, mixed
from policies.errors import InvalidInput
from researcher.history import History
from researcher.journal import MOST_BYTES, Checkpoint
from researcher.participation import ApprovedStudy
from researcher.plots import Plot, plot_consensus, plot_rounds
from researcher.result import Result
from researcher.rounds import Rounds
from researcher.strategies import FedAvg, Update
from researcher.strategies.layout import Layout, Vector
from researcher.topology.graph import Given, Graph, Ring, check_whole
from researcher.topology.names import all_named, named, no_controls


@dataclass(frozen=True, repr=False)
class GossipResult(Result):
    """`parameters` is the mean of all models, which in a network without a centre nobody would have; `models` are the
    hospitals' own, by short name. Evaluations are of each hospital's own model, so `federated_auc` is over all test
    patients, each scored by their own hospital's model."""

    models: dict[str, Arrays] = field(default_factory=dict, repr=False)

    @property
    def consensus(self) -> pd.Series[float]:
        """By round: the root mean square, over hospitals, of the distance (Euclidean, of weights) to the mean model."""
        return self.history.consensus()

    def plot(self, references: Mapping[str, float] | None = None, path: str | Path | None = None) -> Plot:
        """As `Result.plot`; each hospital's line is that of its own model."""
        figure = plot_rounds(self.history, self.strategy, references or {}, model="its own model")
        if path is not None:
            figure.savefig(path, dpi=150, bbox_inches="tight")
        return figure

    def plot_consensus(self, path: str | Path | None = None) -> Plot:
        """The consensus distance by round."""
        figure = plot_consensus(self.consensus)
        if path is not None:
            figure.savefig(path, dpi=150, bbox_inches="tight")
        return figure


class Mixing:
    """One round: the models that hospitals were sent, what they trained, and the mix of it.

    models: float64 of shape (size,), by hospital. A hospital that does not answer keeps its model, and what its links
    weigh counts for those at their other ends themselves: mixing still keeps the mean. Every hospital counts alike,
    whatever number of examples it reports.
    """

    def __init__(self, layout: Layout, models: Mapping[str, Vector], graph: Graph, names: Mapping[str, str]) -> None:
        self._layout, self._graph, self._names = layout, graph, names
        self._models = dict(models)
        self._trained: dict[str, Vector] = {}

    def add(self, update: Update) -> None:
        self._trained[update.hospital] = self._layout.of_update(update)

    def result(self) -> tuple[Arrays, Arrays]:
        """The mean of all models, and the models: (size,) each, in float64, by hospital."""
        hospitals, answered = sorted(self._models), sorted(self._trained)
        weights = metropolis(self._graph.links([self._names[hospital] for hospital in hospitals]))
        for hospital in answered:
            row = dict(zip(hospitals, weights[hospitals.index(hospital)].tolist(), strict=True))
            heard = {other: self._trained[other] for other in answered if other != hospital and row[other]}
            self._models[hospital] = mixed(self._trained[hospital], heard, row)
        for vector in self._models.values():
            self._layout.arrays(vector)  # raises RoundFailed for what could not be sent
        self._mean = np.mean([self._models[hospital] for hospital in hospitals], axis=0)
        return self._layout.arrays(self._mean), dict(self._models)

    def distances(self) -> dict[str, float]:
        """Of each hospital's model to the mean, after `result`."""
        weights = self._layout.weights
        return {h: float(np.linalg.norm((model - self._mean)[weights])) for h, model in self._models.items()}


class Gossip(Rounds):
    """Runs a study's rounds over a network; `run` and `result` are those of `Rounds`, with a `GossipResult`.

    graph: `Ring()` (when left out), `Exponential()`, or the neighbours of each hospital by short name or address. It
    may be another one in the next run: agreement only needs the links of several rounds together.
    A hospital that joins starts from the mean of all models; one that leaves for good takes its model with it.
    """

    _mixing: Mixing

    def __init__(
        self,
        submission: ApprovedStudy,
        graph: Graph | Mapping[str, Iterable[str]] | None = None,
        min_hospitals: int | None = None,
        deadline: float = 600,
        evaluate: bool = True,
    ) -> None:
        no_controls(submission.manifest)
        super().__init__(submission, FedAvg(), min_hospitals, deadline, evaluate)
        self._identity = {"name": "Gossip", "settings": {}}
        self._graph: Graph = Given(graph) if isinstance(graph, Mapping) else graph or Ring()

    def run(self, rounds: int | None = None, on_round: Callable[[History], None] | None = None) -> GossipResult:
        """See `Rounds.run`."""
        super().run(rounds, on_round)
        return self.result()

    def result(self) -> GossipResult:
        """What there is so far. Raises StudyFailed before the first trained round."""
        plain, checkpoint = super().result(), self.submission.journal.checkpoint()
        layout, label = Layout(checkpoint.parameters), self.submission.label
        models = {label(hospital): layout.arrays(vector) for hospital, vector in checkpoint.memory.items()}
        return GossipResult(**{f.name: getattr(plain, f.name) for f in fields(Result)}, models=models)

    def _facts(self) -> dict[str, object]:
        return {**super()._facts(), "graph": self._graph}

    def _gather(self, fit: bool) -> None:
        super()._gather(fit)
        if isinstance(self._graph, Given):
            all_named(self.submission, self._members.present, self._graph.names, "in the graph")

    def _asked(self, checkpoint: Checkpoint, number: int, fit: bool) -> list[str]:
        names = self._names(present := self._members.present)
        asked = [hospital for hospital in present if hospital in names]
        if fit:
            check_whole([self.submission.label(h) for h in asked], self._graph.links([names[h] for h in asked]))
        size = 8 * Layout(checkpoint.parameters).size * (len(asked) + 1)
        if size > MOST_BYTES:
            raise InvalidInput(f"The models of {len(asked)} hospitals, {size:,} bytes, are too large for one journal.")
        return asked

    def _sent(self, checkpoint: Checkpoint, asked: list[str]) -> Iterable[tuple[list[str], Arrays]]:
        layout = Layout(checkpoint.parameters)
        return [([h], layout.arrays(model)) for h, model in self._models(checkpoint, asked).items()]

    def _begin(self, checkpoint: Checkpoint, asked: list[str]) -> Mixing:
        layout = Layout(checkpoint.parameters)
        self._mixing = Mixing(layout, self._models(checkpoint, asked), self._graph, self._names(asked))
        return self._mixing

    def _noted(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        distances = self._mixing.distances()
        return [{**record, "distance": distances[record["hospital"]]} for record in records]

    def _models(self, checkpoint: Checkpoint, asked: list[str]) -> dict[str, Vector]:
        mean = Layout(checkpoint.parameters).vector(checkpoint.parameters)
        return {hospital: checkpoint.memory.get(hospital, mean) for hospital in asked}

    def _names(self, hospitals: list[str]) -> dict[str, str]:
        """As the graph calls them; those that it does not know are left out."""
        if isinstance(self._graph, Given):
            return named(self.submission, hospitals, self._graph.names)
        return {hospital: hospital for hospital in hospitals}
