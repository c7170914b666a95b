"""What a researcher holds in a notebook shows itself, on one line and as a table."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from torch import nn

import researcher as wr
from datasites.wire.dictionary import Dictionary
from researcher.dataset import Dataset
from tests.support.federation import DICTIONARY, STUDY, stays
from tests.support.inline import InlineCrew

# Settings, which one writes down oneself: their repr is what one would type.
SETTINGS = {
    "CategoryInput": wr.CategoryInput(column="ward", categories=("a", "b")),
    "Criterion": wr.Criterion(),
    "Exponential": wr.Exponential(),
    "ImageInput": wr.ImageInput(column="radiograph", shape=(1, 4, 4), center=128.0, scale=64.0),
    "Neighbours": wr.Neighbours("ring", deadline=60),
    "NumberInput": wr.NumberInput(column="days", center=5.0, scale=3.0),
    "Optimizer": wr.Optimizer(learning_rate=1.0),
    "Ring": wr.Ring(),
    "Target": wr.Target(column="readmitted", kind="binary"),
}
STUDY_NAME = "shown"


def _classes() -> list[type]:
    public = [getattr(wr, name) for name in wr.__all__]
    found = [one for one in public if inspect.isclass(one) and not issubclass(one, BaseException)]
    return [one for one in found if Protocol not in one.__bases__]


@pytest.mark.parametrize("shown", _classes(), ids=lambda one: one.__name__)
def test_every_public_class_shows_itself(shown: type) -> None:
    assert shown.__repr__ is not object.__repr__, "give it a __repr__: see datasites.wire.shown"
    if shown.__name__ not in SETTINGS:
        assert callable(getattr(shown, "_repr_html_", None)), "give it a _repr_html_: see datasites.wire.shown"


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_told_as_one_would_type_them(name: str) -> None:
    told = repr(SETTINGS[name])
    assert eval(told, {name: getattr(wr, name)}) == SETTINGS[name]  # noqa: S307
    assert len(told) < 200


@pytest.fixture
def simulation(monkeypatch: pytest.MonkeyPatch) -> Iterator[wr.Simulation]:
    monkeypatch.setattr("researcher.simulation.simulation.Crew", InlineCrew)
    tables = {name: stays(site, 20 * site + 10) for site, name in enumerate(("east", "north", "south"), 1)}
    study = wr.Study(STUDY_NAME, "Compare <b>wards</b>", STUDY, "stays", 4, {"seed": 1})
    with wr.Simulation(study, tables, Dictionary.load(DICTIONARY), processes=1) as simulation:
        yield simulation


def _check(shown: Any, *told: str) -> None:
    line, page = repr(shown), shown._repr_html_()
    assert len(line) < 500
    assert not re.search(r" at 0x[0-9a-f]+", line)
    for text in told:
        assert text in page
    assert not re.search(r"color:|background|#[0-9a-fA-F]{6}", page), "a page's own colours make it readable"


ROUNDS: dict[str, Callable[[wr.Simulation], Any]] = {
    "Rounds": lambda study: wr.Rounds(study, wr.FedAvgM(learning_rate=0.5)),
    "Gossip": lambda study: wr.Gossip(study, {"east": ["north"], "north": ["south"]}),
    "Hierarchical": lambda study: wr.Hierarchical(study, {"far": ["east"], "near": ["north", "south"]}),
    "Cyclic": lambda study: wr.Cyclic(study),
    "AsyncRounds": lambda study: wr.AsyncRounds(study, buffer=2),
}


@pytest.mark.parametrize("name", ROUNDS)
def test_rounds_and_their_results(name: str, simulation: wr.Simulation) -> None:
    rounds = ROUNDS[name](simulation)
    _check(rounds, STUDY_NAME, "0 of 4")
    result = rounds.run(2)
    _check(rounds, "2 of 4", {"Rounds": "learning_rate=0.5", "Hierarchical": "north, south"}.get(name, ""))
    _check(result, STUDY_NAME, "after 2 rounds of training")
    assert f"round {result.round}" in repr(result)
    _check(simulation, "east, north, south")


def test_studies(simulation: wr.Simulation, tmp_path: Path) -> None:
    _check(simulation._study, "Compare &lt;b&gt;wards&lt;/b&gt;", "seed=1", str(STUDY))
    _check(simulation.manifest, "reviewed", "study.py")
    private = wr.PrivateStudy(
        "private", "Test", "stays", nn.Linear(1, 1), ["days"], "readmitted", rounds=1, steps=2, sampling_rate=0.1,
        expected_lot=8.0, optimizer=wr.Optimizer(learning_rate=1.0), noise_multiplier=2.0, evaluation_noise=4.0,
    )  # fmt: skip
    _check(private, "Linear of 2 numbers", "1 of 2 steps", "readmitted")
    _check(private.cost(), "2 steps at noise multiplier 2")
    _check(wr.PrivateStatistics("counts", "Test", "stays", ["days"], epsilon=0.3), "0.3 at delta 1e-06")


def test_what_looks_at_rounds(simulation: wr.Simulation) -> None:
    watch, local = wr.Watch(), wr.LocalModels()
    _check(watch)
    _check(local, "nobody yet")
    wr.Rounds(simulation, observer=watch, evaluate=False).run(1)
    _check(watch, "rounds seen")
    scores = wr.PrivateScores([np.array([[30, 10], [5, 15]])], [0.5], noise=1.0)
    _check(scores, "AUC", "(95% ")


@pytest.mark.parametrize("strategy", [wr.FedAvg(), wr.FedAdam(), wr.Krum(), wr.Scaffold(hospitals=3)])
def test_strategies_show_settings_and_what_they_are(strategy: Any) -> None:
    _check(strategy, type(strategy).__name__)
    for name, value in dataclasses.asdict(strategy).items():
        assert value is None or name in strategy._repr_html_()


def test_a_dataset_card_has_a_sketch_of_each_column() -> None:
    dictionary = Dictionary.load(DICTIONARY)
    twin = stays(1, 50).to_csv(index=False).encode()
    card = Dataset("do@a.org", "A <i>hospital</i>", "stays", "Stays", dictionary, twin)
    _check(card, "A &lt;i&gt;hospital&lt;/i&gt;", "Mock twin (invented rows)")
    assert card._repr_html_().count("in the mock twin'>") == len(dictionary.columns)


def test_preprocessing_tells_its_constants() -> None:
    made = wr.Preprocessing.from_dictionary(Dictionary.load(DICTIONARY), ["days"])
    _check(made, "days", f"center {made.inputs[0].center}")


def test_a_federation_is_a_map_of_who_has_accepted(tmp_path: Path) -> None:
    file = tmp_path / "federation.toml"
    file.write_text(f'name = "f"\nstore = "file://{tmp_path}/store"\n[hospitals.a]\nemail = "do@a.org"\n')
    federation = wr.connect(file, "ada@uni.org", home=tmp_path / "ada")
    _check(federation, "0 of 1 are linked with you", "not yet", federation.fingerprint)
    assert "accepted by 0 of 1 hospitals" in repr(federation)
    _check(wr.Reputation(federation), "none yet")
