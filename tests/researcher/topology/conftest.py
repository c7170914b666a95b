"""Four simulated hospitals, each of which pulls the model to a place of its own, whose mean is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import researcher as wr
from datasites.wire.dictionary import Dictionary
from tests.support.federation import DICTIONARY, STUDY, stays
from tests.support.inline import InlineCrew

NAMES = ("east", "north", "south", "west")
TABLES = {name: stays(site, 20 * site + 10) for site, name in enumerate(NAMES, 1)}
Simulated = Callable[..., wr.Simulation]


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("researcher.simulation.simulation.Crew", InlineCrew)


@pytest.fixture
def counting() -> Simulated:
    """Simulations of the study of whole numbers, by rounds and options."""
    return lambda rounds=3, **options: _simulation(STUDY, rounds, {}, **options)


@pytest.fixture
def pulling() -> Simulated:
    """Of the study whose hospitals pull to 1, 2, 3 and 6: the mean is 3, with noise of a few hundredths a round."""
    places = {"1": 1.0, "2": 2.0, "3": 3.0, "4": 6.0}
    code = Path(__file__).parents[2] / "support" / "pulling"
    return lambda rounds=3, **options: _simulation(code, rounds, {"places": places}, **options)


def _simulation(code: Path, rounds: int, config: dict[str, Any], **options: Any) -> wr.Simulation:
    study = wr.Study("topologies", "Test", code, "stays", rounds, config)
    return wr.Simulation(study, TABLES, Dictionary.load(DICTIONARY), processes=1, **options)
