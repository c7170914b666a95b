"""A model's start, or a hold on it, from synthetic patients: see `researcher.anchors`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from datasites.wire.arrays import Arrays
from datasites.wire.contract import array_problems
from policies.errors import InvalidInput
from researcher.anchors import Anchor
from researcher.participation import ApprovedStudy
from researcher.rounds import Rounds
from researcher.simulation import Simulation
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
