"""A model that does worse at one hospital is told there, and none that only met other patients."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

import researcher as wr
from datasites.wire.manifest import Manifest
from researcher.history import History
from researcher.metrics import auc_deviation, auc_from_histogram
from researcher.model_decay import measured
from tests.support.planted import simulation

BINS = 50


def histogram(rng: np.random.Generator, rows: int, effect: float = 1.5, risk: float = 1.0) -> NDArray[np.int64]:
    """Scores of a model that is right where effect is 1.5 and risk 1: outcomes are `risk` times as frequent."""
    x = rng.normal(size=rows)
    score = 1 / (1 + np.exp(1 - 1.5 * x))
    y = rng.random(rows) < np.clip(risk / (1 + np.exp(1 - effect * x)), 0, 1)
    cells = np.minimum((score * BINS).astype(int), BINS - 1) + BINS * y
    return np.bincount(cells, minlength=2 * BINS).reshape(2, BINS).astype(np.int64)


def evaluated(histograms: dict[str, NDArray[np.int64] | None], number: int = 3) -> wr.Result:
    reported = {"num_examples": 1, "metrics": {}}
    records: list[dict[str, Any]] = [
        {
            "evaluated_round": number,
            "hospital": h,
            "evaluate": reported,
            "histogram": None if one is None else one.tolist(),
        }
        for h, one in histograms.items()
    ]
    return wr.Result(cast(Manifest, SimpleNamespace(training=None)), "FedAvg", {}, number, History(records))


def test_only_the_hospital_and_the_measure_that_changed_are_told() -> None:
    rng = np.random.default_rng(0)
    before = {name: histogram(rng, 4000) for name in ("north", "south", "west")}
    after = {
        "north": histogram(rng, 4000),
        "south": histogram(rng, 4000, effect=0.5),
        "west": histogram(rng, 4000, risk=0.6),
    }
    found = wr.decay({"at training": evaluated(before), "June": (evaluated(after, 0), 0)})
    told = set(zip(found.alarms["hospital"], found.alarms["what"], strict=True))
    assert ("south", "discrimination") in told
    assert ("west", "calibration") in told
    assert "north" not in set(found.alarms["hospital"])
    assert ("west", "discrimination") not in told
    row = found.alarms.set_index(["hospital", "what"]).loc[("west", "calibration")]
    assert row["now"] / row["before"] == pytest.approx(0.6, abs=0.08)
    assert row["when"] == "June"


def test_the_numbers_are_those_of_the_histograms() -> None:
    one = histogram(np.random.default_rng(1), 2000)
    row = wr.decay({"a": evaluated({"north": one}), "b": evaluated({"north": one})}).table.iloc[1]
    assert row["auc"] == pytest.approx(auc_from_histogram(one))
    assert row["auc_error"] == pytest.approx(auc_deviation(one), rel=0.01)  # DeLong's
    middles = (np.arange(BINS) + 0.5) / BINS
    assert row["ratio"] == pytest.approx(one[1].sum() / (one.sum(0) * middles).sum())
    assert (row["auc_change"], row["ratio_change"]) == (0, 1)


@pytest.mark.parametrize("noise", [0.0, 8.0])
def test_the_errors_are_how_much_the_numbers_vary(noise: float) -> None:
    """Over evaluations of other patients, with the noise of a private one."""
    rng = np.random.default_rng(6)
    middles = (np.arange(BINS) + 0.5) / BINS
    found = []
    for _ in range(400):
        counts = histogram(rng, rng.poisson(2000)) + rng.normal(0, noise, (2, BINS))
        found.append(measured(counts, middles, noise))
    auc, auc_error, ratio, ratio_error = np.array(found).T
    assert auc_error.mean() == pytest.approx(auc.std(), rel=0.15)
    assert ratio_error.mean() == pytest.approx(ratio.std(), rel=0.15)


def test_other_patients_alone_give_no_alarm() -> None:
    """A hundred federations of three small hospitals and three times, in which nothing changes: about one may cry."""
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(100):
        results = {t: evaluated({h: histogram(rng, 150) for h in "abc"}) for t in "xyz"}
        alarms += len(wr.decay(results).alarms) > 0
    assert alarms <= 5


def test_a_hospital_that_came_later_is_held_to_its_own_first() -> None:
    rng = np.random.default_rng(3)
    results = {
        "x": evaluated({"north": histogram(rng, 3000)}),
        "y": evaluated({"north": histogram(rng, 3000), "south": histogram(rng, 3000, effect=0.5)}),
        "z": evaluated({"south": histogram(rng, 3000, effect=0.5), "west": None}),
    }
    found = wr.decay(results)
    assert found.alarms.empty
    assert found.table["auc_change"].notna().tolist() == [False, True, False, True]


def test_what_cannot_be_compared_is_told() -> None:
    one = evaluated({"north": histogram(np.random.default_rng(4), 500)})
    nothing = evaluated({"north": None})
    found = wr.decay({"x": one, "<y>": nothing, "z": one})
    assert found.problems == ("The evaluation named '<y>' has no score histogram of any hospital.",)
    assert "&lt;y&gt;" in found._repr_html_()
    for given, said in (({"x": one}, "at least two"), ({"x": one, "y": nothing}, "must return them")):
        with pytest.raises(wr.InvalidInput, match=said):
            wr.decay(given)
    with pytest.raises(wr.InvalidInput, match="above"):
        wr.decay({"x": one, "y": one}, drop=0)


def test_a_picture_rings_the_alarms() -> None:
    rng = np.random.default_rng(5)
    plot = wr.decay(
        {"x": evaluated({"north": histogram(rng, 3000)}), "y": evaluated({"north": histogram(rng, 3000, effect=0)})}
    ).plot()
    above, below = plot.axes
    assert len(above.collections[-1].get_offsets()) == 1
    assert [label.get_text() for label in below.get_xticklabels()] == ["x", "y"]
    assert plot._repr_png_()[:4] == b"\x89PNG"


def test_a_real_model_at_hospitals_whose_patients_changed() -> None:
    with simulation({"north": 1.5, "south": 1.5}, 3) as simulated:
        trained = wr.Rounds(simulated).run()
    with simulation({"north": 1.5, "south": -1.5}, 1) as later:
        wr.begin_with(later, trained.parameters)
        anew = wr.Rounds(later).run()
    found = wr.decay({"at training": trained, "June": (anew, 0)})
    assert found.alarms[["hospital", "what"]].to_numpy().tolist() == [["south", "discrimination"]]
    row = found.alarms.iloc[0]
    assert row["before"] > 0.75
    assert row["now"] < 0.4
