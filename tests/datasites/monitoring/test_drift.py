"""Drift of a table's columns: against hand-worked numbers and scipy, and what of it may be told."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from datasites.audit.entry import Kind
from datasites.catalog.registry import RegisteredTable, Registry
from datasites.catalog.tables import TableSource
from datasites.datasite import Datasite
from datasites.monitoring import cells
from datasites.monitoring.drift import ColumnDrift, Limits, compare, ks, psi, psi_by_chance
from datasites.monitoring.report import check, last
from datasites.wire.dictionary import Dictionary
from policies.errors import InvalidInput

DICTIONARY = Dictionary.from_toml("""
[table]
name = "ward"
title = "Ward"
description = "One row a stay."
patient_key = "who"
target = "back"

[columns.age]
type = "number"
description = "Years."
range = [0, 120]
missing = true

[columns.unit]
type = "category"
description = "Where."
categories = ["surgery", "medicine", "rare", "rarer"]

[columns.back]
type = "boolean"
description = "Back within 30 days."
""")
LIMITS = Limits(psi=0.2, ks=0.1, least_patients=20, least_cell=10)


def table(rows: int = 2000, seed: int = 0, shift: float = 0.0, surgery: float = 0.5, **columns: Any) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    unit = np.where(rng.random(rows) < surgery, "surgery", "medicine")
    made: dict[str, Any] = {
        "who": np.arange(rows).astype(str),
        "age": rng.normal(60 + shift, 10, rows).clip(0, 120),
        "unit": pd.Categorical(unit, categories=DICTIONARY.columns["unit"].categories),
        "back": (rng.random(rows) < 0.3).astype(np.int8),
    }
    return pd.DataFrame(made | columns)


def by_name(found: list[ColumnDrift]) -> dict[str, ColumnDrift]:
    return {one.column: one for one in found}


def test_psi_is_the_sum_worked_by_hand() -> None:
    """20, 30, 50 of a hundred become 100, 60, 40 of two hundred."""
    by_hand = 0.3 * math.log(0.5 / 0.2) + 0.0 + (0.2 - 0.5) * math.log(0.2 / 0.5)
    assert psi(np.array([20, 30, 50]), np.array([100, 60, 40])) == pytest.approx(by_hand)
    assert by_hand == pytest.approx(0.5498, abs=1e-4)
    assert psi(np.array([3, 7]), np.array([30, 70])) == 0.0
    assert psi(np.array([10, 0]), np.array([5, 5])) == pytest.approx(-0.5 * math.log(0.5) + 0.45 * math.log(0.5 / 0.05))


def test_ks_is_scipys_where_every_patient_has_one_row() -> None:
    before, after = table(300, 1)["age"], table(200, 2, shift=4)["age"]
    reference = stats.ks_2samp(before, after, method="asymp")
    assert ks(before, after, (300, 200)) == pytest.approx((reference.statistic, reference.pvalue))


def test_what_chance_gives_is_what_it_gives() -> None:
    """Of 2,000 pairs of tables without drift, one in a hundred is above the bound; and 0.2 is often passed."""
    rng = np.random.default_rng(5)
    p = np.full(10, 0.1)
    found = np.array([psi(rng.multinomial(100, p), rng.multinomial(100, p)) for _ in range(2000)])
    assert (found > psi_by_chance(10, (100, 100), 0.01)).mean() == pytest.approx(0.01, abs=0.01)
    assert (found > 0.2).mean() > 0.2  # why a threshold alone would cry wolf


def test_deciles_categories_and_what_is_missing_are_cells() -> None:
    before, after = table(1000), table(500, 3)
    after.loc[:99, "age"] = np.nan
    who = before["who"], after["who"]
    ages = cells.cut(before["age"], after["age"], who, DICTIONARY.columns["age"])
    assert ages.rows[0].tolist() == [100] * 10 + [0]
    assert (ages.names[-1], ages.rows[1, -1]) == ("missing", 100)
    units = cells.cut(before["unit"], after["unit"], who, DICTIONARY.columns["unit"])
    assert units.names == ("surgery", "medicine")  # where nobody is, there is no cell
    assert units.rows[1].tolist() == after["unit"].value_counts()[["surgery", "medicine"]].tolist()


def test_a_shift_is_found_and_no_shift_is_not() -> None:
    same = compare(table(), table(seed=1), DICTIONARY, LIMITS)
    assert {one.state for one in same} == {"steady"}
    found = by_name(compare(table(), table(seed=1, shift=8, surgery=0.8), DICTIONARY, LIMITS))
    assert {name: one.state for name, one in found.items()} == {"age": "drifted", "unit": "drifted", "back": "steady"}
    moved = found["unit"].moved
    assert moved
    assert moved.cell in ("surgery", "medicine")
    assert abs(moved.after - moved.before) == pytest.approx(0.3, abs=0.05)


def test_many_stays_of_few_patients_are_no_evidence() -> None:
    """Twenty patients with a hundred stays each: the same wards would differ as much at any other time."""
    rng = np.random.default_rng(0)

    def few(seed: int) -> pd.DataFrame:
        made = table(2000, seed)
        made["who"] = (np.arange(2000) // 100).astype(str)
        return made.assign(age=np.repeat(rng.normal(60, 10, 20), 100))

    found = by_name(compare(few(1), few(2), DICTIONARY, LIMITS))["age"]
    assert found.psi
    assert found.psi > 0.2
    assert found.state == "steady"


def test_of_few_patients_nothing_is_told() -> None:
    few = table(200)
    few["who"] = (np.arange(200) % 19).astype(str)
    found = compare(table(), few, DICTIONARY, LIMITS)
    assert found == [ColumnDrift(name, "withheld") for name in DICTIONARY.columns]


def test_a_cell_of_few_patients_is_not_shown() -> None:
    """All that changed is nine patients of a rare unit."""
    before, after = table(100), table(100)
    after.loc[:8, "unit"] = "rare"
    shown = by_name(compare(before, after, DICTIONARY, LIMITS))["unit"]
    assert shown.moved is None or shown.moved.cell != "rare"
    after.loc[:9, "unit"] = "rare"
    shown = by_name(compare(before, after, DICTIONARY, LIMITS))["unit"]
    assert shown.moved
    assert (shown.moved.cell, shown.moved.before, shown.moved.after) == ("rare", 0.0, 0.1)


def test_small_cells_are_put_together_and_their_sum_is_not_shown() -> None:
    """One patient who is in two small cells would count twice."""
    before, after = table(100), table(100)
    after.loc[:8, "unit"], after.loc[9:17, "unit"] = "rare", "rarer"
    cut = cells.cut(before["unit"], after["unit"], (before["who"], after["who"]), DICTIONARY.columns["unit"])
    pooled = cells.pooled(cut, 10)
    assert pooled.names == ("surgery", "medicine", "others")
    assert pooled.rows[:, 2].tolist() == [0, 18]
    shown = by_name(compare(before, after, DICTIONARY, LIMITS))["unit"].moved
    assert shown
    assert shown.cell in ("surgery", "medicine")


@pytest.fixture
def published(site: Datasite, tmp_path: Path) -> Datasite:
    table().to_csv(tmp_path / "old.csv", index=False)
    Registry(site.home.datasets).add(RegisteredTable(TableSource(path=tmp_path / "old.csv"), DICTIONARY))
    return site


def test_only_what_drifted_is_told_and_it_is_in_the_audit_log(
    published: Datasite, numbers: Callable[[], dict[Any, float]], tmp_path: Path
) -> None:
    table(seed=1, shift=8).to_csv(tmp_path / "new.csv", index=False)
    report = check(published.home, published.state.audit, "ward", TableSource(path=tmp_path / "new.csv"))
    assert [one.column for one in report.drifted] == ["age"]
    assert last(published.home, "ward") == report
    entry = published.state.audit.entries()[-1]
    assert entry["kind"] == Kind.DRIFT_CHECKED
    assert set(entry) == {"kind", "number", "at", "salt", "dataset", "report"}  # and nothing of what was found
    told = {key: value for key, value in numbers().items() if key[0].startswith("wardround_drift")}
    assert {dict(labels).get("column") for _, labels in told} == {None, "age"}
    assert told["wardround_drift_columns", (("dataset", "ward"), ("state", "drifted"))] == 1
    assert told["wardround_drift_psi", (("column", "age"), ("dataset", "ward"))] == round(report.drifted[0].psi or 0, 2)
    assert (published.home.drift / "ward.json").stat().st_mode & 0o077 == 0


def test_a_report_that_is_damaged_is_none(published: Datasite, numbers: Callable[[], dict[Any, float]]) -> None:
    published.home.drift.mkdir()
    (published.home.drift / "ward.json").write_text(json.dumps({"columns": 1}))
    assert last(published.home, "ward") is None
    assert not any(name == "wardround_drift_columns" for name, _ in numbers())


def test_a_newer_table_that_does_not_fit_is_told_without_a_cell(published: Datasite, tmp_path: Path) -> None:
    table(50).assign(age=8675309).to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(InvalidInput, match="age") as caught:
        check(published.home, published.state.audit, "ward", TableSource(path=tmp_path / "new.csv"))
    assert "8675309" not in str(caught.value)
    with pytest.raises(InvalidInput, match="thresholds"):
        check(published.home, published.state.audit, "ward", TableSource(path=tmp_path / "old.csv"), psi=0)
    assert last(published.home, "ward") is None
