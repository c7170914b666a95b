"""Asynchronous training with real agents, one of which stands still."""

from __future__ import annotations

import os
import signal

import pytest

import researcher as wr
from researcher.history import History
from tests.support.federation import PATIENCE, World


@pytest.mark.slow
def test_training_goes_on_while_an_agent_is_stopped_and_takes_its_late_update_in(world: World) -> None:
    north, south = world.hospitals
    study = world.approved(rounds=6)
    rounds = wr.AsyncRounds(study, buffer=1, deadline=PATIENCE)
    rounds.run(updates=1)
    agent = south._agent
    assert agent
    os.kill(agent.pid, signal.SIGSTOP)
    before = south.datasite.state.used(study.digest)
    versions: list[int] = []

    def wake_up(history: History) -> None:
        versions.append(len(history.hospitals()))
        if len(versions) == 2:
            assert south.datasite.state.used(study.digest) == before
            os.kill(agent.pid, signal.SIGCONT)

    try:
        result = rounds.run(updates=4, on_update=wake_up)
    finally:
        os.kill(agent.pid, signal.SIGCONT)
    assert result.round == 5
    assert result.hospitals["problem"].unique().tolist() == [""]
    for hospital in (north, south):
        assert hospital.datasite.state.used(study.digest)[0] <= 6
    assert result.rounds["hospitals"].iloc[-1] == 2
