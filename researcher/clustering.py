"""A model for each group of hospitals that cannot share one, and one model where they can.

Clustered federated learning: Sattler, Mueller and Samek (2020), IEEE TNNLS. Hospitals train one model until it hardly
moves any more. If their updates still pull in two opposite directions, the hospitals are parted in two, each part goes
on with its own model, and may be parted again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasites.wire.files import write_atomically
from datasites.wire.manifest import Manifest
from datasites.wire.shown import Shown
from policies.errors import InvalidInput
from researcher.exchange import Exchange
from researcher.free_riders import Seen, Watch
from researcher.journal import Journal
from researcher.participation import ApprovedStudy
from researcher.result import Result
from researcher.rounds import Rounds
from researcher.scoring import affordable, best, score

_TREE = "clusters.json"


@dataclass(frozen=True)
class Criterion:
    """When one model is not enough, over the last `rounds` rounds.

    still: the mean update must be shorter than this share of the updates' mean length; before, one model still gets
    better for all. gap: by how much the least cosine within the parts must exceed the greatest between them.
    """

    rounds: int = 2
    still: float = 0.4
    gap: float = 0.5

    def parts(self, rounds: Sequence[Seen]) -> tuple[list[str], list[str]] | None:
        """The two groups, or None where one model is enough, or cannot be judged yet."""
        last = rounds[-self.rounds :]
        hospitals = sorted(set.intersection(*(set(seen.deltas) for seen in last))) if last else []
        if len(last) < self.rounds or len(hospitals) < 3:
            return None
        stacked = [np.stack([seen.deltas[h] for h in hospitals]) for seen in last]
        if any(_movement(deltas) >= self.still for deltas in stacked):
            return None
        cosines = np.mean([_cosines(deltas) for deltas in stacked], axis=0)
        first, second = bipartition(cosines)
        within = [cosines[i, j] for part in (first, second) for i in part for j in part if i < j]
        if min(within) - cosines[np.ix_(first, second)].max() < self.gap:
            return None
        return [hospitals[i] for i in first], [hospitals[i] for i in second]


def bipartition(similarity: NDArray[np.float64]) -> tuple[list[int], list[int]]:
    """The two groups whose greatest similarity across is least: single linkage, stopped at two (Sattler, Algorithm 1).

    similarity: symmetric, of shape (n, n) with n at least 2.
    """
    groups = [{i} for i in range(len(similarity))]
    rows, columns = np.triu_indices(len(similarity), 1)
    for index in np.argsort(-similarity[rows, columns], kind="stable"):
        if len(groups) == 2:
            break
        one = next(g for g in groups if int(rows[index]) in g)
        other = next(g for g in groups if int(columns[index]) in g)
        if one is not other:
            groups.remove(other)
            one |= other
    first, second = sorted(sorted(group) for group in groups)
    return first, second


class ClusteredRounds(Shown):
    """Runs a study's rounds as `Rounds` does, and parts the hospitals where the criterion says so.

    A cluster is named by its way from the root: "all", "all.1", "all.2", "all.1.1" and so on. A hospital that joins
    after its cluster was parted is in none until `place` has shown where it belongs. A study that was stopped goes on
    in the clusters that there were.
    """

    def __init__(
        self,
        submission: ApprovedStudy,
        criterion: Criterion | None = None,
        deadline: float = 600,
        evaluate: bool = True,
    ) -> None:
        self.submission = submission
        self._criterion = criterion or Criterion()
        self._deadline, self._evaluate = deadline, evaluate

    def _facts(self) -> dict[str, object]:
        return {"study": self.submission.manifest.job_name, "criterion": self._criterion}

    def run(self) -> dict[str, Result]:
        """All rounds of the study. The result of each cluster that was not parted, by its name."""
        return self._grow("all", self.submission, self.submission.journal.folder)

    def place(self, by: str = "loss") -> dict[str, str]:
        """Puts newcomers into the cluster whose model serves their own patients best; each, by short name, with its
        cluster's.

        by: the metric of the study's evaluation; less is better, but for "auc" and "accuracy". Each costs a newcomer as
        many of its evaluations as there are clusters, and it trains from the cluster's next round on. A hospital that
        does not answer, or has too few evaluations left, is in none yet.
        """
        whole, leaves = self.submission, self._leaves("all", self.submission, self.submission.journal.folder)
        with whole.journal.alone():
            checkpoints = {name: leaf.journal.checkpoint() for name, leaf in leaves.items()}
            last, root = max(one.messages for one in checkpoints.values()), whole.journal.checkpoint()
            whole.journal.move(replace(root, messages=max(root.messages, last)))
            placed_before = {member for members in self.members().values() for member in members}
            newcomers = [hospital for hospital in whole.participants() if hospital not in placed_before]
            if len(leaves) < 2 or not newcomers:
                return {}
            models = {name: checkpoint.parameters for name, checkpoint in checkpoints.items()}
            scores = score(whole, models, affordable(whole, models, newcomers), self._deadline)
            found = {h: best(scores, h, by) for h in newcomers}
            placed = {h: record["model"] for h, record in found.items() if record is not None}
            for hospital, name in placed.items():
                self._enter(hospital, name)
            # a hospital answers no message below one that it has answered
            last = whole.journal.checkpoint().messages
            for name in set(placed.values()):
                leaves[name].journal.move(replace(checkpoints[name], messages=last))
        return {whole.label(hospital): name for hospital, name in placed.items()}

    def members(self) -> dict[str, list[str]]:
        """The hospitals of each cluster that came of a parting, as far as the study has got."""
        found: dict[str, list[str]] = {}
        for path in sorted(self.submission.journal.folder.rglob(_TREE)):
            found |= json.loads(path.read_bytes())
        return found

    def _leaves(self, name: str, study: ApprovedStudy, folder: Path) -> dict[str, ApprovedStudy]:
        """The clusters that were not parted, as far as the study has got."""
        tree = folder / _TREE
        if not tree.exists():
            return {name: study}
        found: dict[str, ApprovedStudy] = {}
        for child, hospitals in json.loads(tree.read_bytes()).items():
            found |= self._leaves(child, _Part(study, hospitals, folder / child), folder / child)
        return found

    def _enter(self, hospital: str, name: str) -> None:
        """Makes a hospital a member of a cluster, and of those that it came of."""
        folder, steps = self.submission.journal.folder, name.split(".")
        for depth in range(2, len(steps) + 1):
            child, tree = ".".join(steps[:depth]), folder / _TREE
            parts = json.loads(tree.read_bytes())
            write_atomically(tree, json.dumps({**parts, child: sorted({*parts[child], hospital})}).encode())
            folder = folder / child

    def _grow(self, name: str, study: ApprovedStudy, folder: Path) -> dict[str, Result]:
        tree = folder / _TREE
        if not tree.exists():
            result, parts = self._train(study)
            if parts is None:
                return {name: result}
            named = {f"{name}.{number}": part for number, part in enumerate(parts, 1)}
            write_atomically(tree, json.dumps(named).encode())
        results: dict[str, Result] = {}
        for child, hospitals in json.loads(tree.read_bytes()).items():
            part = _Part(study, hospitals, folder / child)
            results |= self._grow(child, part, part.journal.folder)
        return results

    def _train(self, study: ApprovedStudy) -> tuple[Result, tuple[list[str], list[str]] | None]:
        watch = Watch()
        while (done := study.journal.checkpoint().round) < study.manifest.rounds:
            rounds = Rounds(study, None, min_hospitals=1, deadline=self._deadline, evaluate=False, observer=watch)
            result = rounds.run(rounds=1)
            if done + 1 < study.manifest.rounds and (parts := self._criterion.parts(watch.rounds)):
                return result, parts
        rounds = Rounds(study, None, min_hospitals=1, deadline=self._deadline, evaluate=self._evaluate)
        return rounds.run(rounds=0), None


class _Part:
    """A study at some of its hospitals, from the state of the whole on. Message numbers go on too: hospitals count."""

    def __init__(self, study: ApprovedStudy, hospitals: list[str], folder: Path) -> None:
        self._study, self._hospitals = study, set(hospitals)
        self.manifest: Manifest = study.manifest
        self.journal = Journal(folder)
        try:
            self.journal.checkpoint()
        except InvalidInput:  # it has not begun
            self.journal.close_round(study.journal.checkpoint(), [])

    def participants(self) -> list[str]:
        return [hospital for hospital in self._study.participants() if hospital in self._hospitals]

    def noise(self) -> list[str]:
        """What the hospitals said of gate noise."""
        return []

    def joined(self) -> list[str]:
        return [hospital for hospital in self._study.joined() if hospital in self._hospitals]

    def label(self, hospital: str) -> str:
        return self._study.label(hospital)

    def exchange(self) -> Exchange:
        return self._study.exchange()


def _movement(deltas: NDArray[np.float64]) -> float:
    """The mean update's length, by the updates' mean length. deltas: of shape (hospitals, parameters)."""
    lengths = np.linalg.norm(deltas, axis=1).mean()
    return float(np.linalg.norm(deltas.mean(axis=0)) / lengths) if lengths > 0 else 0.0


def _cosines(deltas: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.maximum(np.linalg.norm(deltas, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    directions = deltas / lengths
    return np.asarray(directions @ directions.T)
