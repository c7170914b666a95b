"""The private tier's request: a model and hyperparameters, for the hospital's own training and evaluation.

All of it is data. Every number that scales noise or normalises a sum is a public constant of the manifest.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from datasites.wire.dictionary import Dictionary
from datasites.wire.graph import Graph
from datasites.wire.preparation import Preparation
from datasites.wire.values import Frozen, Positive
from policies.privacy.events import LEAST_NOISE, MOST_NOISE, Event, Gaussian, SampledGaussian, repeated
from policies.privacy.plan import grouped

HISTOGRAM = "score_histogram"
Encounters = Annotated[int, Field(ge=1, le=1_000)]
Noise = Annotated[float, Field(ge=LEAST_NOISE, le=MOST_NOISE)]
Share = Annotated[float, Field(gt=0, le=1)]


class Optimizer(Frozen):
    """What follows each noisy gradient. It starts afresh every round: its state never leaves a round.

    momentum is SGD's; Adam is that of Kingma and Ba (2015) with beta 0.9 and 0.999. average: the round gives the mean
    of this share of its last states (Polyak and Juditsky 1992), in which much of the noise cancels; 0: the last alone.
    """

    name: Literal["sgd", "adam"] = "sgd"
    learning_rate: Positive
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    average: Annotated[float, Field(ge=0, le=1)] = 0.0


class Evaluation(Frozen):
    """A noisy histogram of the predicted probabilities of test patients, by outcome.

    edges: of the bins, ascending, in (0, 1); n edges make n + 1 bins. encounters: the most of one patient that count.
    noise_multiplier: the noise's standard deviation in each bin, in multiples of `encounters`, the L2 sensitivity.
    times: how often the hospital answers.
    """

    edges: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(strict=False, min_length=1, max_length=1_000)
    encounters: Encounters = 1
    noise_multiplier: Noise
    times: Annotated[int, Field(ge=1, le=100_000)] = 1

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if any(low >= high for low, high in pairwise(self.edges)):
            raise ValueError("the edges must ascend")
        return self

    @property
    def bins(self) -> int:
        return len(self.edges) + 1

    @property
    def width(self) -> int:
        """How many counts leave."""
        return 2 * self.bins

    @property
    def sensitivity(self) -> float:
        """The most that one patient moves the counts, in L2."""
        return float(self.encounters)

    @property
    def grid(self) -> float:
        """What is counted in, where noise is shared."""
        return 1.0

    @property
    def event(self) -> Event:
        """What one evaluation is in the ledger."""
        return Gaussian(self.noise_multiplier)


class Training(Frozen):
    """DP-SGD (Abadi et al. 2016) with a patient as the unit.

    In each of `steps` steps of a round, every training patient takes part by itself with probability `sampling_rate`,
    with at most `encounters` encounters. The patients' gradients are each clipped to an L2 norm of `clip`, summed,
    noised with a standard deviation of noise_multiplier * clip, and divided by `expected_lot`: a public constant, the
    same at all hospitals, and never counted anywhere.

    proximal: FedProx' mu (Li et al. 2020): adds mu * (w - w_global) to the noisy gradient.
    """

    graph: Graph
    preparation: Preparation
    loss: Literal["binary_cross_entropy", "mean_squared_error"] = "binary_cross_entropy"
    optimizer: Optimizer
    steps: Annotated[int, Field(ge=1, le=100_000)]
    sampling_rate: Share
    expected_lot: Positive
    clip: Positive
    noise_multiplier: Noise
    encounters: Encounters
    proximal: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    evaluation: Evaluation | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        binary = self.preparation.target.kind == "binary"
        if binary != (self.loss == "binary_cross_entropy"):
            raise ValueError("binary_cross_entropy is for a binary target, mean_squared_error for a number")
        if self.evaluation and not binary:
            raise ValueError("only a binary target can be evaluated by a score histogram")
        if (tuple(self.graph.input.shape), self.graph.input.kind) != ((self.preparation.width,), "float32"):
            raise ValueError(f"the model must take the {self.preparation.width} numbers that are prepared for a row")
        if math.prod(self.graph.output_shape) != 1:
            raise ValueError("the model must give one number for a row")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """What it reads of the table."""
        return self.preparation.columns

    def problems(self, dictionary: Dictionary) -> list[str]:
        """Every way in which it does not fit a table, as sentences."""
        return self.preparation.problems(dictionary)

    def events(self, fit: bool, evaluate: bool) -> tuple[Event, ...]:
        """What a message that asks for this releases. The unit is the patient."""
        evaluation = (self.evaluation.event,) if evaluate and self.evaluation else ()
        return (*((self._step(self.steps),) if fit else ()), *evaluation)

    def plan(self, rounds: int) -> tuple[Event, ...]:
        """What a whole study of so many rounds releases, evaluations included. Raises InvalidInput for too many."""
        evaluations = [repeated(self.evaluation.event, self.evaluation.times)] if self.evaluation else []
        return grouped([self._step(self.steps * rounds), *evaluations])

    def _step(self, steps: int) -> Event:
        return SampledGaussian(self.noise_multiplier, self.sampling_rate, steps)
