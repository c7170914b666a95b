"""A strategy with memory over real hospitals: what it remembers outlives the researcher's process."""

from __future__ import annotations

import numpy as np
import pytest

import researcher as wr
from tests.support.federation import World, load_study, next_state, same_bits


def test_a_stopped_study_goes_on_with_its_momentum_and_nothing_else(world: World) -> None:
    study = world.approved(rounds=3)
    strategy = wr.FedAvgM(learning_rate=0.5, momentum=0.5)
    wr.Rounds(study, strategy).run(2)
    study = study.federation.submission(study.digest)  # as in another process: nothing but the files is left
    for other in (wr.FedAvg(), wr.FedAvgM(learning_rate=0.5, momentum=0.6)):
        with pytest.raises(wr.InvalidInput, match=r"begun with FedAvgM\(learning_rate=0.5, momentum=0.5\), not FedAvg"):
            wr.Rounds(study, other).run()
    result = wr.Rounds(study, wr.FedAvgM(learning_rate=0.5, momentum=0.5)).run()

    state, velocity = load_study().initialize({}), 0.0
    for number in (1, 2, 4):  # the third message asked for an evaluation when the first run ended
        mean = next_state(state, [hospital.table for hospital in world.hospitals], number)
        # b is the study's one weight; w are whole numbers, which are averaged
        velocity = 0.5 * velocity + (mean["b"] - state["b"])
        state = {"w": mean["w"], "b": np.asarray(state["b"] + 0.5 * velocity)}
    assert same_bits(result.parameters, state)
    assert (result.strategy, wr.Rounds(study).result().strategy) == ("FedAvgM", "FedAvgM")


def test_a_strategy_that_needs_more_hospitals_is_told_before_any_trains(world: World) -> None:
    study = world.approved(rounds=1)
    with pytest.raises(wr.RoundFailed, match="2 hospitals have approved this study; it needs 3"):
        wr.Rounds(study, wr.Median()).run()
    assert "fit 1" not in world.hospitals[0].study_log(study)
    assert wr.Rounds(study, wr.FedAvg()).run().round == 1
