from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dp_accounting
import numpy as np
import pandas as pd
import pytest

import researcher as wr
from datasites.catalog.validate import conform
from datasites.catalog.view import study_view
from datasites.training.private.marginals import TrustedMarginals
from datasites.wire.dictionary import Dictionary
from datasites.wire.manifest import Manifest
from datasites.wire.marginals import Marginals
from datasites.wire.statistics import STATISTICS
from researcher.marginals import fit
from researcher.spread import Spread
from tests.privacy.seeded import seeded
from tests.support.planted import CODE, PLANTED, simulation, table

TOML = """
    [table]
    name = "mixed"
    title = "All types"
    description = "For tests."
    patient_key = "who"
    target = "ill"
    [columns.age]
    type = "integer"
    description = "Years."
    range = [0, 100]
    typical = [60, 15]
    [columns.weight]
    type = "number"
    description = "Kilograms; may be missing."
    range = [30, 200]
    missing = true
    [columns.ward]
    type = "category"
    description = "Where."
    categories = ["heart", "lung", "skin"]
    missing = true
    [columns.stage]
    type = "integer"
    description = "1 to 4."
    range = [1, 4]
    [columns.ill]
    type = "boolean"
    description = "The outcome."
    prior = 0.3
    [columns.coin]
    type = "boolean"
    description = "Depends on nothing."
    prior = 0.5
"""
MIXED = Dictionary.from_toml(TOML)
COLUMNS = list(MIXED.columns)


def mixed(rows: int, seed: int = 0) -> pd.DataFrame:
    """ward decides on age and on weight's being missing, age on ill, ill on stage; coin is thrown."""
    rng = np.random.default_rng(seed)
    ward = rng.integers(0, 3, rows)
    age = np.clip(rng.normal(50 + 10 * ward, 10), 0, 100).round()
    ill = (rng.random(rows) < np.where(age > 60, 0.7, 0.2)).astype(int)
    stage = np.clip(1 + 2 * ill + rng.integers(-1, 2, rows), 1, 4)
    weight = np.where((ward == 2) & (rng.random(rows) < 0.5), np.nan, rng.uniform(40, 120, rows))
    names = np.array(["heart", "lung", "skin"], dtype=object)[ward]
    names[rng.random(rows) < 0.1] = None
    return pd.DataFrame(
        {
            "who": np.arange(rows).astype(str),
            "age": age,
            "weight": weight,
            "ward": names,
            "stage": stage,
            "ill": ill,
            "coin": rng.integers(0, 2, rows),
        }
    )


def study(**changes: Any) -> wr.PrivateMarginals:
    fields: dict[str, Any] = {"name": "anchor", "purpose": "Test", "dataset": "mixed", "columns": COLUMNS}
    return wr.PrivateMarginals(**{**fields, "noise_multiplier": 4.0, **changes})


def anchored(tables: Mapping[str, pd.DataFrame], asked: Marginals, dictionary: Dictionary = MIXED) -> wr.Anchor:
    rows = {}
    for hospital, one in tables.items():
        view = study_view(conform(one, dictionary), dictionary, asked.columns, b"secret of this test")
        rows[hospital] = TrustedMarginals(asked, view).evaluate({})[1][STATISTICS]
    return wr.Anchor(asked, dictionary, rows)


@pytest.fixture(autouse=True)
def _same_noise_each_time() -> Iterator[None]:
    with seeded(0):
        yield


@pytest.fixture(scope="module")
def made() -> wr.Anchor:
    with seeded(1):
        return anchored({"a": mixed(9_000, 1), "b": mixed(6_000, 2)}, study().statistics(MIXED))


def test_the_tree_holds_the_planted_dependences_and_no_other(made: wr.Anchor) -> None:
    found = {frozenset(pair) for pair in made.tree[["column", "with"]].itertuples(index=False)}
    planted = [("age", "ward"), ("weight", "ward"), ("age", "ill"), ("ill", "stage")]
    assert found >= {frozenset(pair) for pair in planted}
    assert made.tree["information"][4:].max() < 0.001 or len(found) == 4  # by chance
    assert made.tree["information"][:4].min() > 0.02
    assert made.size == pytest.approx(15_000, abs=6 * made.asked.deviation)


def test_what_noise_alone_gives_is_no_dependence() -> None:
    """Ten pairs of columns, 60 draws: in one draw in ten there may be one."""
    asked = study(columns=["age", "ward", "stage", "ill", "coin"], noise_multiplier=30.0).statistics(MIXED)
    alone = mixed(4_000)
    rng = np.random.default_rng(5)
    for column in ("age", "ward", "stage", "ill"):
        alone[column] = rng.permutation(alone[column])
    view = study_view(conform(alone, MIXED), MIXED, asked.columns, b"secret of this test")
    trusted = TrustedMarginals(asked, view)
    seen = [len(fit(asked, trusted.evaluate({})[1][STATISTICS], asked.deviation).edges) for _ in range(60)]
    assert sum(map(bool, seen)) <= 14


def test_the_tables_agree_with_each_other_and_no_share_is_below_0(made: wr.Anchor) -> None:
    loud = anchored({"a": mixed(500)}, study(noise_multiplier=20.0).statistics(MIXED))
    for anchor in (made, loud):
        for share in anchor.fitted.shares:
            assert share.min() >= 0
            assert share.sum() == pytest.approx(1)
        for edge in anchor.fitted.edges:
            assert edge.joint.min() >= 0
            np.testing.assert_allclose(edge.joint.sum(1), anchor.fitted.shares[edge.first], atol=1e-6)
            np.testing.assert_allclose(edge.joint.sum(0), anchor.fitted.shares[edge.second], atol=1e-6)


def test_synthetic_patients_fit_the_dictionary_and_are_as_the_real_ones_on_the_whole(made: wr.Anchor) -> None:
    synthetic = made.sample(20_000, seed=3)
    typed, real = conform(synthetic, MIXED), pd.concat([mixed(9_000, 1), mixed(6_000, 2)])
    assert typed["who"].is_unique
    assert set(synthetic["age"] % 1) == {0}
    for frame in (typed, real):
        frame["skin"] = frame["ward"] == "skin"
    numbers = ["age", "ill", "stage", "skin"]
    np.testing.assert_allclose(typed[numbers].mean(), real[numbers].mean(), rtol=0.1)
    assert typed["weight"].isna().mean() == pytest.approx(real["weight"].isna().mean(), abs=0.02)
    assert typed["ward"].isna().mean() == pytest.approx(real["ward"].isna().mean(), abs=0.02)
    np.testing.assert_allclose(typed[numbers].corr(), real[numbers].corr(), atol=0.12)
    assert made.sample(50, seed=3).equals(made.sample(50, seed=3))


def test_a_column_that_was_not_asked_for_has_its_usual_value(made: wr.Anchor) -> None:
    few = anchored({"a": mixed(2_000)}, study(columns=["age", "ill"]).statistics(MIXED))
    synthetic = conform(few.sample(100), MIXED)
    assert synthetic["ward"].unique().tolist() == ["heart"]
    assert synthetic["weight"].nunique() == 1


def test_pairs_around_one_column_need_less_noise_for_the_same_price() -> None:
    every, around = study().statistics(MIXED), study(around="ill").statistics(MIXED)
    assert len(around.pairs) == 5
    assert len(every.pairs) == 15
    assert around.plan(1) == every.plan(1)
    assert around.deviation == pytest.approx(every.deviation * (11 / 21) ** 0.5)
    star = anchored({"a": mixed(9_000)}, around)
    assert all("ill" in pair for pair in star.tree[["column", "with"]].to_numpy().tolist())


def test_it_costs_what_dp_accounting_says_whatever_the_columns(tmp_path: Path) -> None:
    asked = study(noise_multiplier=None, epsilon=0.5, delta=1e-6, home=tmp_path)
    said = dp_accounting.get_epsilon_gaussian(asked.statistics(MIXED).noise_multiplier, 1e-6)
    assert asked.cost().epsilon == pytest.approx(said, rel=1e-3)
    assert 0.49 < said <= 0.5
    assert str(asked.cost()).startswith("Counts of cells and of pairs of cells at noise multiplier")


def test_numbers_are_cut_where_the_dictionary_expects_as_many_in_each() -> None:
    cuts = {one.column: one.edges for one in study(bins=4).statistics(MIXED).inputs}
    assert cuts["stage"] == (1.5, 2.5, 3.5)
    assert cuts["ill"] == (0.5,)
    assert cuts["weight"] == (72.5, 115.0, 157.5)
    assert all(edge % 1 == 0.5 for edge in cuts["age"])
    spread = Spread(MIXED.columns["age"])
    np.testing.assert_allclose(spread.shares(np.array(cuts["age"])), [0.25, 0.5, 0.75], atol=0.02)
    assert study(edges={"age": [18, 65]}).statistics(MIXED).inputs[0].edges == (18.0, 65.0)


def test_the_manifest_holds_a_request_and_neither_code_nor_model() -> None:
    manifest = study().manifest("ada@uni.org", MIXED, study().contract(MIXED))
    assert (manifest.tier, manifest.files, manifest.outputs.parameters) == ("private", {}, {})
    assert isinstance(Manifest.model_validate_json(manifest.canonical()).statistics, Marginals)
    assert Manifest.model_validate_json(manifest.canonical()).digest == manifest.digest
    other = Dictionary.from_toml(TOML.replace('"skin"]', '"eye"]').replace("missing = true", "missing = false", 1))
    assert study().statistics(MIXED).problems(MIXED) == []
    assert len(study().statistics(MIXED).problems(other)) == 2


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"columns": ["age", "height"]}, "no column height"),
        ({"columns": ["age"]}, "inputs"),
        ({"around": "weight", "columns": ["age", "ill"]}, "around"),
        ({"edges": {"age": [5, 4]}}, "ascend"),
        ({"edges": {"height": [1]}}, "edges for height"),
        ({"bins": 1}, "at least 2 bins"),
        ({"encounters": 0}, "encounters"),
    ],
)
def test_what_a_hospital_could_not_do_is_told_before_anything_is_sent(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(wr.InvalidInput, match=why):
        study(**changes).statistics(MIXED)


def test_rounds_begin_with_what_the_anchor_taught() -> None:
    columns = list(PLANTED.columns)
    asked = study(dataset="planted", columns=columns, around="y").statistics(PLANTED)
    hospitals = dict.fromkeys(("h1", "h2", "h3"), 1.5)
    tables = {name: table(1.5, seed, 2_000).astype({"patient_id": str}) for seed, name in enumerate(hospitals)}
    anchor = anchored(tables, asked, PLANTED)
    code = wr.Study("planted", "Test", CODE / "code", "planted", 3)
    state = wr.pretrain(code, anchor)
    assert state["w"][1] > 0.5
    with simulation(hospitals, 1) as simulated:
        with pytest.raises(wr.InvalidInput, match="not a state"):
            wr.begin_with(simulated, {"w": state["w"][:2]})
        half = wr.AnchoredRounds(simulated, code, anchor, share=0.5).run()
        with pytest.raises(wr.InvalidInput, match="have begun"):
            wr.begin_with(simulated, state)
        simulated.restart(0)
        plain = wr.Rounds(simulated).run()
        simulated.restart(0)
        wr.begin_with(simulated, state)
        result = wr.Rounds(simulated).run()
    np.testing.assert_allclose(half.parameters["w"], (state["w"] + plain.parameters["w"]) / 2)
    assert result.rounds.loc[0, "federated_auc"] > 0.75  # before any training at a hospital
    with pytest.raises(wr.InvalidInput, match="code of its own"):
        wr.pretrain(asked, anchor)  # type: ignore[arg-type]
