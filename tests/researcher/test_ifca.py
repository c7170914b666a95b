from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import researcher as wr
from datasites.wire.dictionary import Dictionary
from researcher.ifca import centres
from tests.support.federation import DICTIONARY, stays
from tests.support.planted import simulation

PULLING = Path(__file__).parents[1] / "support" / "pulling"
OPPOSED = {"h1": 2.0, "h2": 2.0, "h3": -2.0, "h4": -2.0, "h5": -2.0}


def test_planted_clusters_are_found_and_a_newcomer_joins_its_own() -> None:
    """h5 is there from round 4 on; a study that was stopped goes on to the same models."""
    with simulation(OPPOSED, 9, joins={"h5": 8}) as simulated:
        part = wr.IfcaRounds(simulated).run(2)
        assert part.clusters == {"h1": "1", "h2": "1", "h3": "2", "h4": "2"}
        result = wr.IfcaRounds(simulated).run()
        simulated.restart(0)
        whole = wr.IfcaRounds(simulated).run()
        with pytest.raises(wr.InvalidInput, match="evaluations for 5"):
            wr.IfcaRounds(simulated).run(1)
    assert result.clusters == {"h1": "1", "h2": "1", "h3": "2", "h4": "2", "h5": "2"}
    assert result.round == 5  # two models: nine rounds' evaluations are enough for so many
    assert result.models["1"]["w"][1] > 1.5
    assert result.models["2"]["w"][1] < -1.5
    assert np.array_equal(result.parameters["w"], result.models["2"]["w"])  # most hospitals'
    assert result.rounds["round"].tolist() == [1, 2, 3, 4, 5]
    assert all(np.array_equal(whole.models[n]["w"], model["w"]) for n, model in result.models.items())
    assert whole.bytes < result.bytes  # a study that stops evaluates once more
    assert whole.bytes[0] > 2 * 24 * 4 * 5  # all k models, to all hospitals


def test_a_hospital_that_was_away_comes_back_to_its_cluster() -> None:
    def away(hospital: str, number: int) -> float:
        return 1e9 if hospital == "h5" and number == 4 else 0.0

    with simulation(OPPOSED, 5, delay=away) as simulated:
        result = wr.IfcaRounds(simulated).run()
    assert result.clusters["h5"] == "2"
    assert result.hospitals["problem"].str.contains("No answer").any()


@pytest.mark.parametrize("metric", ["auc", "loss"])
def test_planted_clusters_need_models_of_their_own(metric: str) -> None:
    verdict = wr.one_or_many(*both(OPPOSED), metric)
    assert not verdict.one_is_enough
    assert str(verdict).startswith("A model for each cluster is better")
    assert (verdict.table["gain"] > 0).all()
    assert verdict.table["cluster"].tolist() == ["1", "1", "2", "2", "2"]


@pytest.mark.parametrize("metric", ["auc", "loss"])
def test_for_hospitals_that_are_alike_one_is_enough(metric: str) -> None:
    verdict = wr.one_or_many(*both(dict.fromkeys(OPPOSED, 1.5)), metric)
    assert verdict.one_is_enough
    assert str(verdict).startswith("One model is enough")


_runs: dict[tuple[float, ...], tuple[wr.Result, wr.IfcaResult]] = {}


def both(effects: dict[str, float]) -> tuple[wr.Result, wr.IfcaResult]:
    """One model, and two, after three rounds."""
    if (key := tuple(effects.values())) not in _runs:
        with simulation(effects, 4) as simulated:
            many = wr.IfcaRounds(simulated).run()
            simulated.restart(0)
            _runs[key] = (wr.Rounds(simulated).run(many.round), many)
    return _runs[key]


def test_what_it_cannot_choose_by_is_refused() -> None:
    study = wr.Study("pulling", "Test", PULLING, "stays", 4)
    with wr.Simulation(study, {"a": stays(1, 20)}, Dictionary.load(DICTIONARY), processes=1) as simulated:
        with pytest.raises(wr.InvalidInput, match="no 'loss' to choose by; it reports mean"):
            wr.IfcaRounds(simulated)
        with pytest.raises(wr.InvalidInput, match="k must be"):
            wr.IfcaRounds(simulated, k=1)
        with pytest.raises(wr.RoundFailed, match="1 usable answers for 2 models"):
            wr.IfcaRounds(simulated, by="mean").run()


def test_centres_are_those_of_planted_groups() -> None:
    rng = np.random.default_rng(0)
    planted_at = np.repeat([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]], [1, 4, 5], axis=0)
    found = centres(planted_at + rng.normal(size=(10, 2)) * 0.5, 3)
    assert len(set(found[:1])) == len(set(found[1:5])) == len(set(found[5:])) == 1
    assert len(set(found)) == 3
