"""Studies that keep arrays at the hospital between rounds, simulated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import researcher as wr
from datasites.wire.dictionary import Dictionary
from datasites.wire.reasons import Reason
from tests.support.drift import CONFIG, STUDY, by_the_paper
from tests.support.federation import same_bits
from tests.support.studies import modules_of

COUNTING = """
import numpy as np

def initialize(config):
    return {"w": np.zeros(())}

def fit(parameters, table, config, kept):
    if config["round"] in config.get("fails", ()):
        raise ValueError("as told")
    rounds = kept.get("rounds", np.zeros(1, np.int64)) + 1
    if config["round"] in config.get("grows", ()):
        rounds = np.repeat(rounds, 2)
    return {"w": parameters["w"] + 1}, len(table), {"rounds": int(rounds[0])}, {"rounds": rounds}

def evaluate(parameters, table, config, kept):
    return len(table), {"before": int(kept.get("rounds", [0])[0])}
"""


@pytest.fixture
def counting_rounds(tmp_path: Path) -> Any:
    """A study in which each hospital keeps how many rounds it has trained."""

    def study(rounds: int, **config: Any) -> wr.Study:
        (tmp_path / "study.py").write_text(COUNTING)
        return wr.Study("counting", "Test", tmp_path, "stays", rounds, config)

    return study


def _by_the_paper(tables: dict[str, pd.DataFrame], answering: list[list[str]]) -> list[np.ndarray]:
    names = sorted(tables)
    with modules_of(STUDY) as modules:
        data = [modules.study.data(tables[name]) for name in names]
    return by_the_paper(data, [[names.index(name) for name in round_] for round_ in answering], 1.0)


def test_scaffold_is_the_papers_whichever_hospitals_answer(tables: dict[str, Any], dictionary: Dictionary) -> None:
    study = wr.Study("drift", "Test", STUDY, "stays", 6, CONFIG)
    strategy = wr.Scaffold(hospitals=3, weighted=False)
    with wr.Simulation(study, tables, dictionary, processes=2) as simulation:
        wr.Rounds(simulation, strategy, sample=2, seed=3, evaluate=False).run(2)
        first = wr.Rounds(simulation, strategy, sample=2, seed=3, evaluate=False).run()
        simulation.restart(seed=0)
        again = wr.Rounds(simulation, strategy, sample=2, seed=3, evaluate=False).run()
    trained = first.hospitals.groupby("round")["hospital"].apply(list)
    assert len({tuple(hospitals) for hospitals in trained}) > 1
    expected = _by_the_paper(tables, trained.tolist())[-1]
    np.testing.assert_allclose(first.parameters["weight"][0], expected, rtol=0, atol=1e-10)
    assert same_bits(first.parameters, again.parameters)


def test_evaluation_is_given_what_the_round_before_left(tables: dict[str, Any], dictionary, counting_rounds) -> None:
    result = wr.simulate(counting_rounds(3), tables, dictionary, processes=1)
    assert result.hospitals.groupby("round")["before"].unique().tolist() == [[0], [1], [2], [3]]


def test_a_round_that_fails_leaves_what_it_was_given(tables: dict[str, Any], dictionary, counting_rounds) -> None:
    study = counting_rounds(4, fails=[2], grows=[3])
    with wr.Simulation(study, tables, dictionary, processes=1) as simulation:
        rounds = wr.Rounds(simulation, evaluate=False)
        rounds.run(1)
        for reason in (Reason.CODE_ERROR, Reason.CONTRACT):
            with pytest.raises(wr.RoundFailed, match=reason.text):
                rounds.run(1)
        result = rounds.run(1)
    assert result.hospitals["train_rounds"].dropna().tolist() == [1, 1, 1, 2, 2, 2]


def test_a_message_that_no_hospital_began_leaves_nothing(tables: dict[str, Any], dictionary, counting_rounds) -> None:
    """South works on the first message for 100 seconds: the second and third are withdrawn meanwhile."""

    def slow(hospital: str, number: int) -> float:
        return 100.0 if (hospital, number) == ("south", 1) else 0.0

    with wr.Simulation(counting_rounds(4), tables, dictionary, processes=1, delay=slow) as simulation:
        result = wr.Rounds(simulation, deadline=30, evaluate=False).run()
    trained = result.hospitals.groupby("hospital")["train_rounds"].last()
    assert trained.to_dict() == {"east": 4, "north": 4, "south": 2}
