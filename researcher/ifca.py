"""k models, and every hospital trains the one that serves its own patients best.

The iterative federated clustering algorithm: Ghosh, Chung, Yin and Ramchandran (2020), An Efficient Framework for
Clustered Federated Learning, with model averaging. It learns which hospitals belong together while it trains: a
hospital chooses by the loss on its own held-out patients, and may choose otherwise later. The k first models are, where
the paper leaves the choice open, the centres of what hospitals make of the study's own first model in one round.

A choice costs k evaluations, and an approval of n rounds holds n + 1: so it has enough for 1 + every * (n // k) rounds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from datasites.wire.arrays import Arrays
from datasites.wire.manifest import Manifest
from policies.errors import InvalidInput
from researcher.history import History
from researcher.journal import MOST_BYTES, Checkpoint
from researcher.participation import ApprovedStudy
from researcher.result import Result
from researcher.rounds import Rounds
from researcher.scoring import affordable, best, score
from researcher.strategies import FedAvg, Update
from researcher.strategies.fedavg import WeightedMean
from researcher.strategies.layout import Layout, Vector
from researcher.topology.names import no_controls

MOST_MODELS = 8
_MODEL, _CHOICE = "model/", "choice/"  # before numbers and hospitals, in the strategy's memory
_ITERATIONS = 20


@dataclass(frozen=True, repr=False)
class IfcaResult(Result):
    """`models` by number ("1" to "k"); `clusters`: which one each hospital chose last, by short name. Evaluations are
    of each hospital's own choice. `parameters` is the model that most hospitals chose."""

    models: dict[str, Arrays] = field(default_factory=dict, repr=False)
    clusters: dict[str, str] = field(default_factory=dict)
    scoring: tuple[int, int] = (0, 0)  # bytes down and up, for choosing

    @property
    def bytes(self) -> tuple[int, int]:
        """As `Result.bytes`, with the k models that were sent to be chosen from."""
        down, up = super().bytes
        return down + self.scoring[0], up + self.scoring[1]


class IfcaRounds(Rounds):
    """Runs a study's rounds as `Rounds` does, with k models; `run` and `result` give an `IfcaResult`.

    k: models, 2 to 8. by: the metric of the study's evaluation that hospitals choose by; less is better, but for "auc"
    and "accuracy". every: rounds between two choices. Hospitals come and go: a newcomer is placed by its loss before it
    trains, one that is away is still in its cluster when it is back, and a model that nobody chooses stays as it is.

    The choice is made on the patients that later test the model, which favours it by a little: with `evaluate_on`
    "validation", say, the study's own code can keep them apart.
    """

    def __init__(
        self,
        submission: ApprovedStudy,
        k: int = 2,
        by: str = "loss",
        every: int = 1,
        min_hospitals: int | None = None,
        deadline: float = 600,
        evaluate: bool = True,
    ) -> None:
        _check(submission.manifest, k, by, every)
        super().__init__(submission, FedAvg(), min_hospitals, deadline, evaluate)
        self._evaluate_each = False  # the scores are evaluations
        self._identity = {"name": "IFCA", "settings": {"k": k, "by": by, "every": every}}
        self._k, self._by, self._every = k, by, every

    def run(self, rounds: int | None = None, on_round: Callable[[History], None] | None = None) -> IfcaResult:
        """See `Rounds.run`. All rounds are as many as the approval has evaluations for."""
        super().run(rounds, on_round)
        return self.result()

    def result(self) -> IfcaResult:
        """What there is so far. Raises StudyFailed before the first trained round."""
        plain, checkpoint = super().result(), self.submission.journal.checkpoint()
        layout, label = Layout(checkpoint.parameters), self.submission.label
        models = {str(i + 1): layout.arrays(model) for i, model in enumerate(models_of(checkpoint.memory))}
        clusters = {label(h): str(choice + 1) for h, choice in sorted(choices_of(checkpoint.memory).items())}
        inherited = {f.name: getattr(plain, f.name) for f in fields(Result)}
        return IfcaResult(**inherited, models=models, clusters=clusters, scoring=self._scoring())

    def _target(self, checkpoint: Checkpoint, rounds: int | None) -> int:
        approved = self.submission.manifest.rounds
        most = min(approved, 1 + self._every * (approved // self._k))
        if rounds is None:
            return max(most, checkpoint.round)
        target = super()._target(checkpoint, rounds)
        if rounds > 0 and target > most:
            raise InvalidInput(
                f"{approved} approved rounds have evaluations for {most} with {self._k} models.",
                "Choose less often, or ask for more rounds than you train.",
            )
        return target

    def _message(self, checkpoint: Checkpoint, fit: bool) -> Checkpoint:
        self._members.look()
        return super()._message(self._chosen(checkpoint, fit) if checkpoint.memory else checkpoint, fit)

    def _chosen(self, checkpoint: Checkpoint, fit: bool) -> Checkpoint:
        """Has hospitals choose, where it is time to or they have not chosen yet."""
        journal, choices = self.submission.journal, choices_of(checkpoint.memory)
        again = fit and (checkpoint.round - 1) % self._every == 0
        asked = [h for h in self._members.present if again or h not in choices]
        models = self._named(checkpoint)
        asked = affordable(self.submission, models, asked)
        if not asked:
            return checkpoint
        scores = score(self.submission, models, asked, self._deadline)
        chosen_by = {h: best(scores, h, self._by) for h in asked}
        found = {h: record for h, record in chosen_by.items() if record is not None}
        for record in found.values():
            told = {**record, "evaluated_round": checkpoint.round, "asked": False, "cluster": record["model"]}
            noted = [r for r in journal.noted(record["message"]) if not _alike(r, told)]
            journal.note(record["message"], [*noted, told])
        chosen = {h: int(record["model"]) - 1 for h, record in found.items()}
        after = replace(journal.checkpoint(), memory=with_choices(checkpoint.memory, chosen))
        journal.move(after)
        self._records = journal.history()
        return after

    def _named(self, checkpoint: Checkpoint) -> dict[str, Arrays]:
        layout = Layout(checkpoint.parameters)
        return {str(i + 1): layout.arrays(model) for i, model in enumerate(models_of(checkpoint.memory))}

    def _scoring(self) -> tuple[int, int]:
        """Bytes down and up of what no record of the history counts."""
        outputs, crossed = self.submission.manifest.outputs, self.submission.journal.crossed()
        counted = sum(1 for r in self._records if not r.get("asked", True) and r["evaluate"])
        state = sum(spec.nbytes for spec in outputs.parameters.values())
        metrics = sum(spec.nbytes for spec in outputs.evaluate_arrays.values())
        return state * len(crossed), metrics * (sum(1 for r in crossed if r["evaluate"]) - counted)

    # other than the star

    def _asked(self, checkpoint: Checkpoint, number: int, fit: bool) -> list[str]:
        size = 8 * Layout(checkpoint.parameters).size * (self._k + 1)
        if size > MOST_BYTES:
            raise InvalidInput(f"{self._k} models, {size:,} bytes, are too large for one journal.")
        present, choices = self._members.present, choices_of(checkpoint.memory)
        return [h for h in present if h in choices] if checkpoint.memory else present

    def _sent(self, checkpoint: Checkpoint, asked: list[str]) -> Iterable[tuple[list[str], Arrays]]:
        if not checkpoint.memory:
            return super()._sent(checkpoint, asked)
        choices, models = choices_of(checkpoint.memory), self._named(checkpoint)
        return [
            (group, model) for n, model in models.items() if (group := [h for h in asked if choices[h] + 1 == int(n)])
        ]

    def _begin(self, checkpoint: Checkpoint, asked: list[str]) -> Seeding | Grouped:
        layout = Layout(checkpoint.parameters)
        return Grouped(layout, checkpoint.memory) if checkpoint.memory else Seeding(layout, self._k)

    def _shortage(self, usable: list[str], fit: bool) -> str:
        few = fit and not any(record["fit"] for record in self._records) and len(usable) < self._k
        return f"{len(usable)} usable answers for {self._k} models" if few else super()._shortage(usable, fit)


class Seeding:
    """The first round: hospitals trained one model, and the k centres of what came of it are the first models."""

    def __init__(self, layout: Layout, k: int) -> None:
        self._layout, self._k = layout, k
        self._updates: dict[str, Update] = {}

    def add(self, update: Update) -> None:
        self._layout.of_update(update)  # raises InvalidInput
        self._updates[update.hospital] = update

    def result(self) -> tuple[Arrays, Arrays]:
        hospitals = sorted(self._updates)
        trained = np.stack([self._layout.vector(self._updates[h].parameters) for h in hospitals])
        choice = centres(trained[:, self._layout.weights], self._k)
        models = [
            np.average(trained[choice == i], axis=0) if (choice == i).any() else trained[0] for i in range(self._k)
        ]
        memory: Arrays = {f"{_MODEL}{i}": model for i, model in enumerate(models)}
        chosen = {h: int(c) for h, c in zip(hospitals, choice, strict=True)}
        grouped = Grouped(self._layout, with_choices(memory, chosen))
        for hospital in hospitals:
            grouped.add(self._updates[hospital])
        return grouped.result()


class Grouped:
    """A round of training: FedAvg within each group. memory: k models, (size,) each, and hospitals' choices."""

    def __init__(self, layout: Layout, memory: Arrays) -> None:
        self._layout, self._memory, self._choices = layout, memory, choices_of(memory)
        self._means: dict[int, WeightedMean] = {}

    def add(self, update: Update) -> None:
        choice = self._choices[update.hospital]
        self._means.setdefault(choice, WeightedMean(self._layout)).add(update)

    def result(self) -> tuple[Arrays, Arrays]:
        """The model that most hospitals chose, and the memory."""
        trained = {f"{_MODEL}{choice}": mean.mean() for choice, mean in self._means.items()}
        memory = {**self._memory, **{name: self._as_sent(vector) for name, vector in trained.items()}}
        most = Counter(self._choices.values()).most_common(1)[0][0]
        return self._layout.arrays(memory[f"{_MODEL}{most}"]), memory

    def _as_sent(self, vector: Vector) -> Vector:
        """Rounded as it is for the hospitals, so that a model has one digest. Raises RoundFailed."""
        return self._layout.vector(self._layout.arrays(vector))


def centres(points: np.ndarray, k: int) -> np.ndarray:
    """Which of k groups each row of (n, d) is in: Lloyd's k-means from the points that are farthest from each other
    (Gonzalez 1985), so that it is the same at each run."""
    chosen = [int(np.argmax(np.linalg.norm(points - points.mean(axis=0), axis=1)))]
    while len(chosen) < min(k, len(points)):
        chosen.append(int(np.argmax(_distances(points, points[chosen]).min(axis=1))))
    means = points[chosen]
    for _ in range(_ITERATIONS):
        nearest = _distances(points, means).argmin(axis=1)
        means = np.stack(
            [points[nearest == i].mean(axis=0) if (nearest == i).any() else m for i, m in enumerate(means)]
        )
    return np.asarray(_distances(points, means).argmin(axis=1))


def _distances(points: np.ndarray, means: np.ndarray) -> np.ndarray:
    return np.asarray(np.stack([np.linalg.norm(points - mean, axis=1) for mean in means], axis=1))


def _alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one[name] == other[name] for name in ("hospital", "evaluated_round"))


def with_choices(memory: Arrays, chosen: Mapping[str, int]) -> Arrays:
    """The memory once these hospitals have chosen these models, counted from 0."""
    return {**memory, **{_CHOICE + hospital: np.asarray(choice) for hospital, choice in chosen.items()}}


def models_of(memory: Mapping[str, Any]) -> list[Vector]:
    """The k models of a memory, (size,) each."""
    return [memory[f"{_MODEL}{i}"] for i in range(sum(name.startswith(_MODEL) for name in memory))]


def choices_of(memory: Mapping[str, Any]) -> dict[str, int]:
    """The model, counted from 0, that each hospital chose last."""
    return {name.removeprefix(_CHOICE): int(value) for name, value in memory.items() if name.startswith(_CHOICE)}


def _check(manifest: Manifest, k: int, by: str, every: int) -> None:
    no_controls(manifest)
    if not 2 <= k <= MOST_MODELS or every < 1:
        raise InvalidInput(f"k must be from 2 to {MOST_MODELS}, and every at least 1.")
    if manifest.tier == "private":
        raise InvalidInput(
            "Hospitals choose by evaluations, and a private study's are paid for one by one.", "Use Rounds(submission)."
        )
    outputs = manifest.outputs
    from_histogram = by == "auc" and "score_histogram" in outputs.evaluate_arrays
    if by not in outputs.evaluate_metrics and not from_histogram:
        told = ", ".join(outputs.evaluate_metrics) or "nothing"
        raise InvalidInput(f"The study's evaluation reports no {by!r} to choose by; it reports {told}.", "Set `by`.")
