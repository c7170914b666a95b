from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import researcher as wr
from datasites.wire.dictionary import Dictionary
from researcher.clustering import ClusteredRounds, Criterion, bipartition
from researcher.free_riders import Seen
from tests.support import planted
from tests.support.federation import DICTIONARY, stays

PULLING = Path(__file__).parents[1] / "support" / "pulling"
TABLES = {f"h{site}": stays(site, 20) for site in range(1, 6)}


def simulation(rounds: int, places: dict[str, float]) -> wr.Simulation:
    study = wr.Study("pulling", "Test", PULLING, "stays", rounds, {"places": places})
    return wr.Simulation(study, TABLES, Dictionary.load(DICTIONARY), processes=1)


def test_two_planted_groups_get_a_model_each() -> None:
    places = {"1": 1.0, "2": 1.1, "3": -1.0, "4": -1.1, "5": -1.0}
    with simulation(9, places) as simulated:
        clustered = ClusteredRounds(simulated)
        results = clustered.run()
        members = {name: [simulated.label(h) for h in group] for name, group in clustered.members().items()}
        again = clustered.run()  # nothing is left to do
    assert members == {"all.1": ["h1", "h2"], "all.2": ["h3", "h4", "h5"]}
    assert results["all.1"].parameters["w"] == pytest.approx(np.full(8, 1.05), abs=0.15)
    assert results["all.2"].parameters["w"] == pytest.approx(np.full(8, -1.03), abs=0.15)
    assert [result.round for result in results.values()] == [9, 9]
    assert again.keys() == results.keys()
    assert set(results["all.1"].hospitals["hospital"]) == {"h1", "h2"}


def test_for_hospitals_that_agree_one_model_is_enough() -> None:
    with simulation(8, dict.fromkeys("12345", 1.0)) as simulated:
        results = ClusteredRounds(simulated).run()
    assert list(results) == ["all"]


@pytest.mark.parametrize("seed", range(10))
def test_noise_at_the_optimum_is_no_reason_to_part(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rounds = [Seen({f"h{i}": rng.normal(size=40) for i in range(5)}, None) for _ in range(3)]
    centred = [Seen({h: d - np.mean(list(s.deltas.values()), 0) for h, d in s.deltas.items()}, None) for s in rounds]
    assert Criterion().parts(centred) is None


def test_a_model_that_still_moves_is_not_judged() -> None:
    rng = np.random.default_rng(0)
    together = 5.0
    deltas: dict[str, Any] = {f"h{i}": together + (1 if i < 2 else -1) + 0.1 * rng.normal(size=6) for i in range(5)}
    assert Criterion().parts([Seen(deltas, None)] * 2) is None


def test_the_bipartition_is_the_best_of_all() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        raw = rng.normal(size=(6, 6))
        similarity = (raw + raw.T) / 2
        first, second = bipartition(similarity)
        across = similarity[np.ix_(first, second)].max()
        best = min(
            similarity[np.ix_(inside, outside)].max()
            for code in range(1, 2**5)
            if (inside := [i for i in range(6) if code >> i & 1])
            and (outside := [i for i in range(6) if not code >> i & 1])
        )
        assert across == best


def test_a_newcomer_is_placed_by_its_loss_and_trains_there() -> None:
    effects = {"h1": 2.0, "h2": 2.0, "h3": -2.0, "h4": -2.0, "h5": -2.0}

    def silent(hospital: str, number: int) -> float:
        return 1e9 if (hospital, number) == ("h1", 7) else 0.0

    with planted.simulation(effects, 9, joins={"h2": 7, "h5": 7}, delay=silent) as simulated:
        clustered = wr.ClusteredRounds(simulated)
        assert clustered.place() == {}  # no cluster was parted yet
        with pytest.raises(wr.RoundFailed):
            clustered.run()
        assert clustered.place() == {"h2": "all.1", "h5": "all.2"}
        results = clustered.run()
        assert clustered.place() == {}
        members = {name: [h.partition("@")[0] for h in group] for name, group in clustered.members().items()}
    assert members["all.1"] == ["h1", "h2"]
    assert members["all.2"] == ["h3", "h4", "h5"]  # it may be parted again
    rows = pd.concat([result.hospitals for result in results.values()])
    assert set(rows.loc[rows["train_examples"].notna(), "hospital"]) == set(effects)
