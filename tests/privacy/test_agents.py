"""The audit over an agent that serves, and an attacker who asks for the same round again to average its noise away."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from policies.privacy.accounting import epsilon
from policies.privacy.events import SampledGaussian
from tests.privacy.agents import DELTA, ROUNDS, Attacked, attacked
from tests.privacy.canaries import Found


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Attacked, Found]]:
    with attacked(tmp_path_factory.mktemp("agents")) as system:
        yield system, system.audit()


@pytest.mark.slow
def test_canaries_are_hidden_as_well_as_the_ledger_says(audited: tuple[Attacked, Found]) -> None:
    _, found = audited
    assert found.claimed == epsilon([SampledGaussian(8.0, 0.5, 4 * ROUNDS)], DELTA)
    assert not found.caught


@pytest.mark.slow
def test_the_same_round_asked_again_has_the_same_noise_and_costs_nothing(audited: tuple[Attacked, Found]) -> None:
    system, _ = audited
    first, charged = system.answer(ROUNDS), system.charged()
    for again in (1, 2):
        assert np.array_equal(system.ask_again(ROUNDS)["weight"], first["weight"]), again
    system.hospital.kill()  # what it answered must not be forgotten either
    system.line.put(ROUNDS, system.line.sealed(system.sent[ROUNDS]))
    system.hospital.start()
    system.hospital.wait_until_serving()
    assert np.array_equal(system.ask_again(ROUNDS)["weight"], first["weight"])
    assert system.charged() == charged


@pytest.mark.slow
def test_the_same_state_in_a_new_round_is_beyond_what_was_approved(audited: tuple[Attacked, Found]) -> None:
    system, _ = audited
    charged = system.charged()
    with pytest.raises(AssertionError, match="rounds"):
        system.ask(system.line.initial)
    assert system.charged() == charged
