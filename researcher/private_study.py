"""What a researcher wants trained in the private tier: a model and hyperparameters, and no code."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError
from torch import nn

from datasites.wire.arrays import Arrays
from datasites.wire.canonical import digest_of
from datasites.wire.dictionary import Dictionary
from datasites.wire.manifest import Manifest
from datasites.wire.outputs import OutputContract, private_outputs
from datasites.wire.preparation import CategoryInput, ImageInput, NumberInput, Preparation, Target, standard_input
from datasites.wire.rehearsed import RehearsalReport
from datasites.wire.shown import Shown
from datasites.wire.training import Evaluation, Optimizer, Training
from policies.errors import InvalidInput
from policies.privacy.accounting import epsilon as epsilon_of
from policies.privacy.events import SampledGaussian
from policies.privacy.plan import Plan
from researcher import privacy
from researcher.cost import Cost, counts_event
from researcher.errors import unusable
from researcher.tracing import initial_parameters, trace

if TYPE_CHECKING:
    from researcher.topology.neighbours import Neighbours

_EVALUATION_SHARE = 0.3  # of a target epsilon, for evaluations alone; together they add up to less than the sum
_BINS, _LOGITS = 32, 3.0  # of the score histogram: evenly from 3 below to 3 above the target's public prior, in logits


def _guarantee(epsilon: float | None, noise: float | None, delta: float) -> dict[str, object]:
    """What was asked for: one of both."""
    return {"epsilon": f"{epsilon:g} at delta {delta:g}" if epsilon else "", "noise multiplier": noise}


@dataclass(frozen=True, repr=False)
class PrivateStudy(Shown):
    """A study to be rehearsed, submitted and run as a `Study` is.

    model: any module of one input [rows, features] and one output a row; a logit where the target is yes or no. It is
    carried as data (see `researcher.tracing`), its parameters are the first global state.
    inputs: the model's inputs from left to right: names of columns, prepared as is usual for them, a mapping from name
    to (center, scale), or `NumberInput`s, `CategoryInput`s and `ImageInput`s. target: a column, or a `Target`.
    epsilon: for the whole study with its evaluations, at `delta`; or `noise_multiplier`. The noise is found by
    dp-accounting, some seconds, and remembered.
    sampling_rate: of the patients in each step; expected_lot: what the noisy sums are divided by, about sampling_rate
    times the training patients of a hospital. It is a guess, and a public one; being wrong is being off in the learning
    rate. Hospitals are weighted by their size without anybody counting: all divide by this same number.
    encounters: the most of one patient in a step. clip: bound of a patient's gradient.
    compression, state_compression: as of a `Study`, but without feedback: the private tier keeps nothing.
    gossip: as of a `Study`; each hospital's ledger is charged as in `Rounds`.
    secure_aggregation: as of a `Study`: hospitals show only their sum. Each adds the whole noise of its training, and
    of its evaluations too; with {"honest": H}, hospitals share the noise of evaluations, which then trusts that H of
    them are honest. A hospital's policy must allow that. See docs/secure-aggregation.md.
    evaluations: how often each hospital tests the model on its test patients, at a price: 1 is enough for the last
    state, rounds + 1 for every one, 0 for none. edges: of the score histogram, public.
    """

    name: str
    purpose: str
    dataset: str
    model: nn.Module
    inputs: Sequence[str | NumberInput | CategoryInput | ImageInput] | Mapping[str, tuple[float, float]]
    target: str | Target
    rounds: int
    steps: int
    sampling_rate: float
    expected_lot: float
    optimizer: Optimizer
    epsilon: float | None = None
    noise_multiplier: float | None = None
    delta: float = 1e-6
    clip: float = 4.0
    encounters: int = 3
    proximal: float = 0.0
    evaluations: int = 1
    evaluation_noise: float | None = None
    edges: Sequence[float] | None = None
    seconds_per_round: int = 3600
    home: Path | None = None
    compression: str = ""
    state_compression: str = ""
    gossip: Neighbours | None = None
    secure_aggregation: bool | Mapping[str, float] = False
    _trainings: dict[str, Training] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if (self.epsilon is None) == (self.noise_multiplier is None):
            raise InvalidInput("Give either an epsilon or a noise multiplier.", "A moderate epsilon is 3.")
        if self.epsilon is None and self.evaluations and self.evaluation_noise is None:
            raise InvalidInput("Evaluations need noise too.", "Give evaluation_noise, or evaluations=0.")

    def _facts(self) -> dict[str, object]:
        given = self.target if isinstance(self.target, str) else self.target.column
        return {
            "name": self.name,
            "purpose": self.purpose,
            "dataset": self.dataset,
            "model": f"{type(self.model).__name__} of {sum(p.numel() for p in self.model.parameters()):,} numbers",
            "inputs": ", ".join(name if isinstance(name, str) else name.column for name in self.inputs),
            "target": given,
            "rounds": f"{self.rounds:,} of {self.steps:,} steps, each with {self.sampling_rate:.3g} of the patients",
            **_guarantee(self.epsilon, self.noise_multiplier, self.delta),
        }

    def training(self, dictionary: Dictionary) -> Training:
        """What hospitals are asked to do. Raises InvalidInput naming everything that cannot be used."""
        if dictionary.digest not in self._trainings:
            self._trainings[dictionary.digest] = self._make(dictionary)
        return self._trainings[dictionary.digest]

    def cost(self) -> Cost:
        """Of the whole study, evaluations included."""
        noise, evaluation = self._noises()
        plan = self._plan(noise, evaluation)
        return Cost(epsilon_of(plan.events, self.delta), self.delta, noise, self.rounds * self.steps, self.evaluations)

    @property
    def initial(self) -> Arrays:
        """The model's parameters as they are now."""
        return initial_parameters(self.model)

    def contract(self, dictionary: Dictionary) -> OutputContract:
        """What may leave: names, shapes and types."""
        return private_outputs(self.training(dictionary), self.compression)

    def files(self) -> dict[str, bytes]:
        """None: nothing of a private study is code."""
        return {}

    def manifest(
        self,
        researcher: str,
        dictionary: Dictionary,
        outputs: OutputContract,
        rehearsal: RehearsalReport | None = None,
    ) -> Manifest:
        """Raises InvalidInput, naming every field that cannot be used."""
        training = self.training(dictionary)
        try:
            return Manifest(
                name=self.name,
                purpose=self.purpose,
                researcher=researcher,
                dataset=self.dataset,
                dictionary=dictionary.digest,
                columns=training.preparation.columns,
                files={},
                config={},
                rounds=self.rounds,
                seconds_per_round=self.seconds_per_round,
                outputs=outputs,
                tier="private",
                training=training,
                rehearsal=rehearsal,
                state_compression=self.state_compression,
            )
        except ValidationError as error:
            raise unusable(error) from None

    def fingerprint(self, dictionary: Dictionary) -> str:
        """A digest of all that a rehearsal depends on."""
        return digest_of([self.training(dictionary).model_dump(mode="json"), dictionary.digest, self.compression])

    def _make(self, dictionary: Dictionary) -> Training:
        try:
            preparation = self._preparation(dictionary)
            noise, evaluation_noise = self._noises()
            target = preparation.target
            return Training(
                graph=trace(self.model, preparation.width),
                preparation=preparation,
                loss="binary_cross_entropy" if target.kind == "binary" else "mean_squared_error",
                optimizer=self.optimizer,
                steps=self.steps,
                sampling_rate=float(self.sampling_rate),
                expected_lot=float(self.expected_lot),
                clip=float(self.clip),
                noise_multiplier=noise,
                encounters=self.encounters,
                proximal=float(self.proximal),
                evaluation=self._evaluation(dictionary, target, evaluation_noise) if self.evaluations else None,
            )
        except ValidationError as error:
            raise unusable(error) from None

    def _preparation(self, dictionary: Dictionary) -> Preparation:
        given = self.inputs
        if isinstance(given, Mapping):
            given = [NumberInput(column=n, center=float(c), scale=float(s)) for n, (c, s) in given.items()]
        named = [one if isinstance(one, str) else one.column for one in given]
        target = self.target if isinstance(self.target, Target) else _target(self.target, dictionary)
        if unknown := [name for name in (*named, target.column) if name not in dictionary.columns]:
            raise InvalidInput(f"The dataset {self.dataset!r} has no column {', '.join(unknown)}.")
        inputs = tuple(standard_input(dictionary.columns[one]) if isinstance(one, str) else one for one in given)
        preparation = Preparation(inputs=inputs, target=target)
        if problems := preparation.problems(dictionary):
            raise InvalidInput(" ".join(problems))
        return preparation

    def _noises(self) -> tuple[float, float]:
        """Noise multipliers of a step and of an evaluation."""
        evaluation = self.evaluation_noise
        if self.epsilon is None:
            return float(self.noise_multiplier or 0), float(evaluation or 1)
        if evaluation is None:
            alone = Plan(1, (counts_event(self.secure_aggregation, 1.0, max(1, self.evaluations)),))
            evaluation = privacy.noise_for(_EVALUATION_SHARE * self.epsilon, self.delta, alone, self.home)
        return privacy.noise_for(self.epsilon, self.delta, self._plan(1.0, evaluation), self.home), float(evaluation)

    def _plan(self, noise: float, evaluation: float) -> Plan:
        of_each = counts_event(self.secure_aggregation, evaluation, max(1, self.evaluations))
        evaluations = (of_each,) if self.evaluations else ()
        return Plan(1, (SampledGaussian(noise, self.sampling_rate, self.rounds * self.steps), *evaluations))

    def _evaluation(self, dictionary: Dictionary, target: Target, noise: float) -> Evaluation:
        prior = dictionary.columns[target.column].prior
        edges = self.edges or even_edges(0.5 if prior is None else prior)
        return Evaluation(edges=tuple(map(float, edges)), noise_multiplier=noise, times=self.evaluations)


def even_edges(prior: float, bins: int = _BINS) -> list[float]:
    """Probabilities that cut the scores into `bins`, evenly in logits, from 3 below to 3 above that of `prior`.

    Few bins have little noise in all, and ties; many have the contrary."""
    inside = min(max(prior, 0.001), 0.999)
    center = math.log(inside / (1 - inside))
    places = (center + _LOGITS * (2 * number / (bins - 2) - 1) for number in range(bins - 1))
    return [1 / (1 + math.exp(-place)) for place in places]


def _target(column: str, dictionary: Dictionary) -> Target:
    described = dictionary.columns.get(column)
    if described is None or described.type == "boolean":
        return Target(column=column)
    if described.type == "category":
        raise InvalidInput(f"The target {column!r} is a category.", "Predict a boolean or a number.")
    low, high = described.bounds
    center, scale = described.typical or ((low + high) / 2, (high - low) / 2 or 1.0)
    return Target(column=column, kind="number", center=center, scale=scale)
