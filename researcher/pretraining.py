"""A model's start, or a hold on it, from synthetic patients: see `researcher.anchors`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from datasites.wire.arrays import Arrays
from datasites.wire.contract import array_problems
from policies.errors import InvalidInput
from researcher.anchors import Anchor
from researcher.errors import RoundFailed
from researcher.history import History
from researcher.journal import Checkpoint
from researcher.participation import ApprovedStudy
from researcher.result import Result
from researcher.rounds import Rounds
from researcher.simulation import Simulation
from researcher.strategies import Aggregation, Update
from researcher.strategies.layout import Layout
from researcher.study import Study


def pretrain(
    study: Study,
    anchor: Anchor,
    rounds: int = 1,
    rows: int | None = None,
    seed: int = 0,
    config: Mapping[str, Any] | None = None,
) -> Arrays:
    """What the study's own code makes of its own first model in so many rounds on the anchor's synthetic patients.

    It runs on this machine, in the hospitals' sandbox. rows: see `Anchor.sample`. config: other than the study's, such
    as more local epochs; the study that hospitals approve is not changed by it. Raises InvalidInput for a study without
    code, and RoundFailed where its code fails.
    """
    if not isinstance(study, Study):
        raise InvalidInput(
            "Only a study with code of its own can be pre-trained.",
            "Train a private study's model on anchor.sample() yourself, before you rehearse it.",
        )
    alone = replace(study, rounds=rounds, config={**study.config, **(config or {})})
    table = anchor.sample(rows, seed)
    with Simulation(alone, {"anchor": table}, anchor.dictionary, seed, processes=1) as simulation:
        return Rounds(simulation, evaluate=False).run().parameters


class AnchoredRounds(Rounds):
    """Runs a study's rounds as `Rounds` does, and holds the model to the anchor: after each round it is
    (1 - share) * what the hospitals' updates made of it + share * what the anchor's synthetic patients make of it.

    study: what the hospitals approved; it runs on this machine too, as in `pretrain`, with `config` over its own.
    share: from 0, which is `Rounds`, to 1, which ignores the hospitals. options: those of `Rounds`.
    """

    def __init__(
        self,
        submission: ApprovedStudy,
        study: Study,
        anchor: Anchor,
        share: float = 0.1,
        rows: int | None = None,
        config: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(submission, **options)
        if not 0 <= share <= 1:
            raise InvalidInput("share must be from 0 to 1.")
        self._share = share
        alone = replace(study, config={**study.config, **(config or {})})
        self._anchored = Simulation(alone, {"anchor": anchor.sample(rows)}, anchor.dictionary, processes=1)
        self._identity = {**self._identity, "settings": {**self._identity["settings"], "anchored": share}}

    def run(self, rounds: int | None = None, on_round: Callable[[History], None] | None = None) -> Result:
        """See `Rounds.run`. Raises RoundFailed too where the study's code fails on the anchor."""
        with self._anchored:
            return super().run(rounds, on_round)

    def _begin(self, checkpoint: Checkpoint, asked: list[str]) -> Aggregation:
        return Held(super()._begin(checkpoint, asked), self._share, partial(self._on_anchor, checkpoint))

    def _on_anchor(self, checkpoint: Checkpoint) -> Arrays:
        exchange, number = self._anchored.exchange(), checkpoint.messages + 1
        tickets = exchange.post(number, self._anchored.participants(), checkpoint.parameters, evaluate=False, fit=True)
        (answer,) = exchange.answers(tickets, self._deadline)
        if not answer.usable:
            raise RoundFailed(f"On the anchor: {answer.problem}", "Does the study pass a rehearsal?")
        return answer.parameters


@dataclass(frozen=True)
class Held:
    """An aggregation whose state is mixed with what `train` gives."""

    aggregation: Aggregation
    share: float
    train: Callable[[], Arrays]

    def add(self, update: Update) -> None:
        self.aggregation.add(update)

    def result(self) -> tuple[Arrays, Arrays]:
        state, memory = self.aggregation.result()
        layout = Layout(state)
        mixed = (1 - self.share) * layout.vector(state) + self.share * layout.vector(self.train())
        return layout.arrays(mixed), memory


def begin_with(submission: ApprovedStudy, parameters: Arrays) -> None:
    """Makes this the state that the study's rounds begin with, in place of what `initialize` gave.

    What hospitals approve does not name the first state, as they are sent another one in every round. Raises
    InvalidInput where the rounds have begun, or where it is not a state of this study.
    """
    journal = submission.journal
    with journal.alone():
        checkpoint = journal.checkpoint()
        if checkpoint.messages:
            raise InvalidInput("This study's rounds have begun.", "Submit it under another name to begin anew.")
        if problems := array_problems(parameters, submission.manifest.outputs.parameters):
            raise InvalidInput(f"This is not a state of the study: {'; '.join(problems)}.")
        journal.move(replace(checkpoint, parameters={name: np.array(array) for name, array in parameters.items()}))
