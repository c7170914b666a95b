"""Every model at every hospital: on simulated hospitals, which evaluate as real ones do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import researcher as wr
from datasites.wire.dictionary import Dictionary
from datasites.wire.statistics import Statistics
from researcher.exchange import Answer
from tests.support.federation import DICTIONARY, STUDY, stays

TABLES = {name: stays(site, 20 * site + 10) for site, name in enumerate(("east", "north", "south"), 1)}
CODE = """
import numpy as np

def initialize(config):
    return {"w": np.zeros(1)}

def fit(parameters, table, config):
    return {"w": np.array([table["days"].mean()]) + parameters["w"] / 100}, len(table), {}

def evaluate(parameters, table, config):
    return len(table), {"mae": float((table["days"] - parameters["w"][0]).abs().mean())}
"""


def _simulation(folder: Path, rounds: int = 4, **options: Any) -> wr.Simulation:
    (folder / "study.py").write_text(CODE)
    study = wr.Study("crossing", "Test", folder, "stays", rounds)
    return wr.Simulation(study, TABLES, Dictionary.load(DICTIONARY), processes=1, **options)


def _error(mean: float, name: str) -> float:
    return float((TABLES[name]["days"] - mean).abs().mean())


def test_the_matrix_is_what_each_model_does_at_each_hospital(tmp_path: Path) -> None:
    with _simulation(tmp_path) as simulated:
        local = wr.LocalModels()
        result = wr.Rounds(simulated, observer=local, evaluate=False).run(rounds=1)
        models = {"global": result.parameters, **local.models(simulated.label)}
        matrix = wr.cross_site(simulated, models).matrix("mae")
        assert list(matrix.index) == ["global", "east", "north", "south"]
        for name in TABLES:
            for model, parameters in models.items():
                assert matrix.loc[model, name] == pytest.approx(_error(float(parameters["w"][0]), name))
            assert float(models[name]["w"][0]) == pytest.approx(TABLES[name]["days"].mean())
        messages = simulated.journal.checkpoint().messages
        again = wr.cross_site(simulated, dict(reversed(models.items())))
        assert again.matrix("mae").loc[matrix.index].equals(matrix)
        assert simulated.journal.checkpoint().messages == messages  # nothing was asked twice
        assert again.plot("mae").axes
        with pytest.raises(wr.InvalidInput, match="No hospital reported 'auc'"):
            again.matrix()
        with pytest.raises(wr.InvalidInput, match=r"2 models need as many evaluations, and .* has 1 left"):
            wr.cross_site(simulated, {"one": {"w": np.ones(1)}, "two": {"w": np.full(1, 2.0)}})
        # training goes on as if there had been none, and its own record holds nothing of it
        result = wr.Rounds(simulated, evaluate=False).run(rounds=1)
        assert result.round == 2
        assert "mae" not in result.hospitals


def test_a_hospital_that_fails_leaves_its_cells_empty_and_is_asked_again(tmp_path: Path) -> None:
    def silent(number: int, sent: Any, answers: dict[str, Answer]) -> dict[str, Answer]:
        return {**answers, "east": Answer("east@simulation.example", None, problem="Away.")} if number == 1 else answers

    with _simulation(tmp_path, tamper=silent) as simulated:
        models = {"zero": {"w": np.zeros(1)}}
        crossed = wr.cross_site(simulated, models)
        assert crossed.matrix("mae").loc["zero"].isna().to_dict() == {"east": True, "north": False, "south": False}
        assert crossed.problems.to_numpy().tolist() == [["zero", "east", "Away."]]
        assert wr.cross_site(simulated, models).matrix("mae").notna().all(axis=None)


def test_what_cannot_be_crossed_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with _simulation(tmp_path) as simulated:
        with pytest.raises(wr.InvalidInput, match="no model"):
            wr.cross_site(simulated, {})
        with pytest.raises(wr.InvalidInput, match="'broken' is not one of this study"):
            wr.cross_site(simulated, {"broken": {"w": np.full(1, np.nan)}})
        assert simulated.journal.checkpoint().messages == 0
        asked = wr.PrivateStatistics("who", "Test", "stays", ["days"], noise_multiplier=1.0)
        dictionary = Dictionary.load(DICTIONARY)
        assert isinstance(asked.statistics(dictionary), Statistics)
        simulated.manifest = asked.manifest("ada@uni.org", dictionary, asked.contract(dictionary))
        with pytest.raises(wr.InvalidInput, match="paid for"):
            wr.cross_site(simulated, {"zero": {}})


def test_the_counting_study_has_metrics_to_cross_by() -> None:
    study = wr.Study("counting", "Test", STUDY, "stays", 2)
    with wr.Simulation(study, TABLES, Dictionary.load(DICTIONARY), processes=1) as simulated:
        crossed = wr.cross_site(simulated, {"first": simulated.journal.checkpoint().parameters})
        assert crossed.matrix().shape == (1, 3)  # its AUC follows from the score histogram
