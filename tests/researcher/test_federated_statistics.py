"""Table 1 and its numbers from what a hospital's gate lets out of the ready study, against pandas on all patients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import researcher as wr
from datasites.catalog.validate import conform
from datasites.catalog.view import study_view
from datasites.release.examine import examine
from datasites.release.terms import Cohort, Rules, Terms
from datasites.runner.replies import Outcome, encode_result
from datasites.wire.contract import describe_arrays
from datasites.wire.dictionary import Dictionary
from datasites.wire.outputs import OutputContract
from datasites.wire.secagg.numbers import Part, read, written
from datasites.wire.secagg.terms import SecureAggregation
from policies.examples import example
from researcher.added_statistics import added_of
from researcher.asking import Told
from researcher.federated_statistics import seen_of
from researcher.secagg.summed import arrays_of
from researcher.variables import variables_of
from tests.support.studies import modules_of

CODE = Path(__file__).parents[2] / "notebooks" / "readmission" / "statistics"
DICTIONARY = Dictionary.from_toml(
    """
[table]
name = "stays"
title = "Stays"
description = "One row per patient."
patient_key = "patient_id"
target = "died"

[columns.age]
type = "integer"
description = "Age."
range = [0, 109]

[columns.lactate]
type = "number"
description = "Lactate."
range = [0, 20]
missing = true

[columns.days]
type = "integer"
description = "Days."
range = [1, 7]

[columns.ward]
type = "category"
description = "Ward."
categories = ["surgery", "medicine"]

[columns.died]
type = "boolean"
description = "Died."

[columns.weight]
type = "number"
description = "Weight."
range = [30, 200]
"""
)


def _table(seed: int, rows: int, deaths: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.normal(55 + 5 * seed, 12, rows).clip(0, 109).astype(int)
    return pd.DataFrame(
        {
            "patient_id": [f"{seed}-{row}" for row in range(rows)],
            "age": age,
            "lactate": np.where(np.arange(rows) % 5, rng.gamma(2, 1, rows).clip(0, 20), np.nan),
            "days": (1 + age // 20 + rng.integers(0, 2, rows)).clip(1, 7),
            "ward": rng.choice(["surgery", "medicine"], rows),
            "died": (np.arange(rows) < deaths).astype(int),
            "weight": (100 - age / 3 + 10 * seed + rng.normal(0, 9, rows)).clip(30, 200),
        }
    )


TABLES = {"north": _table(1, 400, 60), "south": _table(2, 300, 3), "east": _table(3, 200, 50)}
ALL = pd.concat(TABLES.values())


def _asked(**release: Any) -> wr.Statistics:
    config = wr.statistics_config(DICTIONARY, least=20)
    let_out, _ = _let_out(config, **release)
    return wr.Statistics(
        *variables_of(config), {name: seen_of(o.num_examples, o.arrays) for name, o in let_out.items()}
    )


def _summed(**release: Any) -> wr.Statistics:
    """The same where only the sum of what hospitals' gates let out is read."""
    config = wr.statistics_config(DICTIONARY, bins=8, least=20, secure_aggregation=True)
    let_out, contract = _let_out(config, **release)
    prints = {f"do@{name}.org": " ".join([f"{at:04x}"] * 8) for at, name in enumerate(TABLES)}
    terms = SecureAggregation(hospitals=prints, **arrays_of(contract))
    parts = [Part(one.num_examples, {}, one.arrays) for one in let_out.values()]
    rounding = release.get("min_cell", 5)
    added = [written(contract, terms, {}, None, part, rounding=rounding) for part in parts]
    total = np.sum(added, axis=0, dtype=np.uint64)
    _, read_ = read(contract, terms, {}, total, False, True)
    assert read_
    told = Told(read_.examples, read_.arrays, len(parts), read_.rounding)
    return wr.Statistics(*variables_of(config), {"overall": added_of(told)})


def _let_out(config: dict[str, Any], **release: Any) -> tuple[dict[str, Outcome], OutputContract]:
    """The study's own code at each hospital, and the gate on what it returns."""
    let_out = {}
    with modules_of(CODE) as modules:
        for name, table in TABLES.items():
            view = study_view(conform(table, DICTIONARY), DICTIONARY, tuple(DICTIONARY.columns), bytes(32))
            number, arrays = modules.study.evaluate({}, view, config)
            contract = OutputContract(
                parameters={}, fit_metrics=(), evaluate_metrics=(), evaluate_arrays=describe_arrays(arrays)
            )
            rules = Rules(
                release=example("standard").release.model_copy(update=release),
                bytes_per_round=10**6,
                kept_bytes=0,
                min_patients=1,
                cohort=Cohort(rows=len(view), patients=len(view)),
                rounding_key="ab" * 32,
            )
            verdict = examine(
                "evaluate", encode_result("evaluate", (number, arrays)), {}, 0, Terms(contract=contract, rules=rules)
            )
            assert verdict.released, verdict.details
            let_out[name] = verdict.released
    return let_out, contract


@pytest.fixture(scope="module")
def exact() -> wr.Statistics:
    """Hospitals that let every count out."""
    return _asked(min_cohort=1, min_cell=1)


@pytest.fixture(scope="module")
def standard() -> wr.Statistics:
    return _asked()


def test_all_patients_together_are_as_if_pooled(exact: wr.Statistics) -> None:
    for column in ("age", "lactate", "days", "weight"):
        found = exact.moments(column).loc["overall"]
        expected = ALL[column].count(), ALL[column].mean(), ALL[column].std(), 0
        np.testing.assert_allclose(found.to_numpy(float), expected, rtol=1e-5)
        for q in (0.25, 0.5, 0.75):
            value = exact.quantile(column, q).loc["overall"]
            true = ALL[column].quantile(q, interpolation="inverted_cdf")
            assert value["low"] <= true <= value["high"]
    # a column with a small count at a hospital, as of deaths in the south, is not correlated there
    np.testing.assert_allclose(exact.correlation().loc["age", "weight"], ALL["age"].corr(ALL["weight"]), atol=1e-4)
    told = pd.concat([TABLES["north"], TABLES["east"]])
    assert np.isnan(exact.correlation().loc["age", "died"])
    some = exact.correlation(partial=True).loc["age", "died"]
    np.testing.assert_allclose(some, told["age"].corr(told["died"]), atol=1e-4)
    south = exact.correlation("south")
    assert np.isnan(south.loc["age", "died"])
    assert exact.missing().loc["lactate", "overall"] == pytest.approx(ALL["lactate"].isna().mean())
    assert exact.histogram("ward")["overall"].to_dict() == ALL["ward"].value_counts().to_dict()


def test_the_table_reads_as_in_a_paper(exact: wr.Statistics) -> None:
    table = exact.table_one()
    assert list(table.columns) == ["north", "south", "east", "overall"]
    assert table.loc[("patients", "n"), "overall"] == "900"
    assert table.loc[("died", "n (%)"), "north"] == "60 (15.0)"
    age = TABLES["north"]["age"]
    assert table.loc[("age", "mean (SD)"), "north"] == f"{age.mean():.1f} ({age.std():.1f})"
    assert table.loc[("lactate", "missing, n (%)"), "overall"] == "180 (20.0)"
    assert ("age", "missing, n (%)") not in table.index
    assert "mean (SD)" in exact._repr_html_()


def test_small_counts_are_withheld_and_what_follows_of_them(standard: wr.Statistics) -> None:
    table = standard.table_one()
    assert table.loc[("died", "n (%)"), "south"] == "<20"
    assert standard.hospitals["south"].counts[4, :2].tolist() == [-1, -20]  # else 297 of 300 would tell
    low, high = table.loc[("died", "n (%)"), "overall"].split(" to ")
    assert int(low) <= ALL["died"].sum() <= int(high.replace(",", "")) + 10  # north and east are rounded to fives
    assert standard.histogram("died").loc["1"].isna().to_dict() == {
        "north": False, "south": True, "east": False, "overall": True,
    }  # fmt: skip
    assert np.isnan(standard.correlation("south").loc["age", "died"])


def test_bounds_of_quantiles_hold_with_cells_withheld_and_rounded(standard: wr.Statistics) -> None:
    for column in ("age", "lactate", "days"):
        for q in (0.1, 0.25, 0.5, 0.75, 0.9):
            found = standard.quantile(column, q)
            for name, table in {**TABLES, "overall": ALL}.items():
                true = table[column].quantile(q, interpolation="inverted_cdf")
                assert found.loc[name, "low"] <= true <= found.loc[name, "high"]


def test_of_a_sum_all_patients_are_as_if_pooled() -> None:
    found = _summed(min_cohort=1, min_cell=1)
    assert list(found.table_one().columns) == ["overall"]
    for column in ("age", "lactate", "days", "weight"):
        moments = found.moments(column)
        expected = ALL[column].count(), ALL[column].mean(), ALL[column].std(), 0
        np.testing.assert_allclose(moments.loc["overall"].to_numpy(float), expected, rtol=5e-5)
        value = found.quantile(column, 0.5).loc["overall"]
        assert value["low"] <= ALL[column].quantile(0.5, interpolation="inverted_cdf") <= value["high"]
    correlated = found.correlation()
    assert list(correlated.columns) == ["age", "weight"]  # numbers in bins; days and died are counted value by value
    np.testing.assert_allclose(correlated.loc["age", "weight"], ALL["age"].corr(ALL["weight"]), atol=1e-5)
    assert found.missing().loc["lactate", "overall"] == pytest.approx(ALL["lactate"].isna().mean())
    assert found.histogram("ward")["overall"].to_dict() == ALL["ward"].value_counts().to_dict()
    assert found.table_one().loc[("died", "n (%)"), "overall"] == f"113 ({100 * 113 / 900:.1f})"


def test_what_one_hospital_withholds_is_not_in_the_sum_and_bounds_hold() -> None:
    found = _summed()
    assert found.table_one().loc[("died", "n (%)"), "overall"] == "at least 110"  # not the three of the south
    assert found.histogram("died").isna().loc["1", "overall"]
    for column in ("age", "lactate", "days"):
        for q in (0.1, 0.25, 0.5, 0.75, 0.9):
            value = found.quantile(column, q).loc["overall"]
            assert value["low"] <= ALL[column].quantile(q, interpolation="inverted_cdf") <= value["high"]


def test_what_is_no_sum_is_not_added_up() -> None:
    _, contract = _let_out(wr.statistics_config(DICTIONARY))
    with pytest.raises(wr.InvalidInput, match="cannot be added up"):
        arrays_of(contract)


def test_what_was_not_asked_is_said(exact: wr.Statistics) -> None:
    for wrong in (
        lambda: exact.histogram("height"),
        lambda: exact.quantile("ward", 0.5),
        lambda: exact.quantile("age", 50),
        lambda: exact.correlation("west"),
        lambda: wr.statistics_config(DICTIONARY, ["height"]),
        lambda: wr.statistics_config(DICTIONARY, bins=1),
    ):
        with pytest.raises(wr.InvalidInput):
            wrong()


def test_hospitals_are_asked_as_of_any_study() -> None:
    study = wr.Study("table-one", "Test", CODE, "stays", 1, wr.statistics_config(DICTIONARY))
    with wr.Simulation(study, TABLES, DICTIONARY, processes=1) as simulation:
        found = wr.statistics(simulation)
        assert isinstance(found, wr.Statistics)
        assert found.moments("age").loc["overall", "mean"] == pytest.approx(ALL["age"].mean())


def test_a_private_study_has_a_table_one_too() -> None:
    asked = wr.PrivateStatistics("who", "Test", "stays", ["age", "ward", "died"], noise_multiplier=0.5)
    rows = {f"do@{name}.org": np.array([500.0, 30, 200, 300, -250.0]) for name in TABLES}
    table = wr.Counts(asked.statistics(DICTIONARY), rows).table_one()
    assert table.index.tolist() == ["patients", "age: mean", "ward: surgery", "ward: medicine", "died: mean"]
    assert table.loc["ward: surgery", "overall"] == 600
