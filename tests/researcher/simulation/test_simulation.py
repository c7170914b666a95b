from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import researcher as wr
from datasites.catalog.twin import mock_twin
from datasites.wire.dictionary import Dictionary
from datasites.wire.reasons import Reason
from researcher.dataset import Dataset
from researcher.exchange import Answer
from tests.support.federation import expected_state, same_bits, stays

RANDOM = """
import random
import numpy as np

def initialize(config):
    return {"w": np.zeros(2)}

def fit(parameters, table, config):
    return {"w": parameters["w"] + np.array([random.random(), np.random.normal()])}, len(table), {}

def evaluate(parameters, table, config):
    table.drop(table.index, inplace=True)
    return 1, {"noise": float(np.random.normal())}
"""


def test_a_simulation_trains_what_real_hospitals_would(tables: dict[str, Any], dictionary, counting) -> None:
    result = wr.simulate(counting(), tables, dictionary, processes=2)
    assert same_bits(result.parameters, expected_state(list(tables.values()), [1, 2, 3]))
    assert result.rounds["hospitals"].tolist() == [3, 3, 3, 3]
    assert sorted(set(result.hospitals["hospital"])) == ["east", "north", "south"]
    assert result.plot().axes


def test_the_same_seed_gives_the_same_result_however_many_processes(tmp_path: Path, dictionary: Dictionary) -> None:
    (tmp_path / "study.py").write_text(RANDOM)
    study = wr.Study("random", "Test", tmp_path, "stays", 3)
    tables = {f"h{site}": stays(site, 5 + site) for site in range(1, 6)}
    one, two = (wr.simulate(study, tables, dictionary, seed=4, processes=n) for n in (1, 2))
    other = wr.simulate(study, tables, dictionary, seed=5, processes=1)
    assert same_bits(one.parameters, two.parameters)
    assert one.hospitals.equals(two.hospitals)
    assert not same_bits(one.parameters, other.parameters)
    assert one.hospitals["noise"].nunique() == len(one.hospitals)  # no two calls draw the same numbers


def test_what_goes_wrong_at_one_hospital_is_told_as_it_would_be(tables: dict[str, Any], dictionary, counting) -> None:
    acts = {"1": {"act": "raise", "rounds": [2]}, "2": {"act": "shape", "rounds": [3]}}
    result = wr.simulate(counting(acts=acts), tables, dictionary, processes=1)
    problems = result.hospitals[result.hospitals["problem"] != ""]
    assert problems[["hospital", "problem"]].to_numpy().tolist() == [
        ["east", Reason.CODE_ERROR.text],
        ["north", Reason.CONTRACT.text],
    ]
    assert result.round == 3


def test_a_study_that_does_not_run_shows_its_traceback(tmp_path: Path, tables: dict[str, Any], dictionary) -> None:
    (tmp_path / "study.py").write_text(RANDOM.replace("np.random.normal()])", "undefined_name])"))
    with pytest.raises(wr.RehearsalFailed, match="undefined_name"):
        wr.simulate(wr.Study("broken", "Test", tmp_path, "stays", 1), tables, dictionary, processes=1)


def test_hospitals_can_be_made_to_cheat(tables: dict[str, Any], dictionary, counting) -> None:
    def lazy(number: int, sent: dict[str, Any], answers: dict[str, Answer]) -> dict[str, Answer]:
        return {**answers, "east": dataclasses.replace(answers["east"], parameters=sent)}

    def broken(number: int, sent: dict[str, Any], answers: dict[str, Answer]) -> dict[str, Answer]:
        return {**answers, "east": dataclasses.replace(answers["east"], parameters={})}

    with wr.Simulation(counting(1), tables, dictionary, tamper=lazy, processes=1) as simulation:
        cheated = wr.Rounds(simulation).run()
    honest = expected_state(list(tables.values()), [1])
    assert not same_bits(cheated.parameters, honest)
    with wr.Simulation(counting(1), tables, dictionary, tamper=broken, processes=1) as simulation:
        refused = wr.Rounds(simulation, evaluate=False).run()
    assert same_bits(refused.parameters, expected_state([tables["north"], tables["south"]], [1]))


def test_a_dry_run_on_mock_twins(dictionary: Dictionary, counting) -> None:
    twins = [
        Dataset(
            f"do@{name}.org",
            name,
            "stays",
            "Stays",
            dictionary,
            mock_twin(dictionary, 40, seed).to_csv(index=False).encode(),
        )
        for seed, name in enumerate(("north", "south"))
    ]
    with wr.Simulation.on_twins(counting(2), twins, processes=1) as simulation:
        result = wr.Rounds(simulation).run()
    assert result.round == 2
    assert sorted(set(result.hospitals["hospital"])) == ["do-north-org", "do-south-org"]


@pytest.mark.parametrize("count", [0, 201])
def test_too_many_hospitals_are_refused(count: int, dictionary: Dictionary, counting) -> None:
    with pytest.raises(wr.InvalidInput, match=f"{count} hospitals cannot be simulated"):
        wr.Simulation(counting(), {f"h{i}": stays(1, 5) for i in range(count)}, dictionary)


def test_a_table_that_does_not_fit_the_dictionary_is_refused(dictionary: Dictionary, counting) -> None:
    with pytest.raises(wr.InvalidInput, match="days"):
        wr.Simulation(counting(), {"north": stays(1, 5).assign(days=np.arange(5) + 1000)}, dictionary)


def test_a_private_study_is_refused_in_plain_words(dictionary: Dictionary, tables: dict[str, Any]) -> None:
    study: Any = object.__new__(wr.PrivateStudy)
    with pytest.raises(wr.InvalidInput, match="Only a study with code of its own"):
        wr.simulate(study, tables, dictionary)
