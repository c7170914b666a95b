"""The ready study of statistics, against pandas on the same patients; and what it holds back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from policies.examples import example
from tests.support.studies import modules_of

FOLDER = Path(__file__).parents[4] / "notebooks" / "readmission" / "statistics"
COLUMNS = [
    {"name": "age", "low": 0, "high": 100, "bins": 10},
    {"name": "female", "values": [0, 1]},
    {"name": "rare", "values": [0, 1]},
    {"name": "ward", "values": ["surgery", "medicine"]},
    {"name": "lab", "low": 0, "high": 5, "bins": 5},
]
CONFIG = {"columns": COLUMNS, "correlate": ["age", "female", "rare"], "least": 10, "everyone": "rows", "round": 1}


@pytest.fixture
def study() -> Iterator[SimpleNamespace]:
    with modules_of(FOLDER) as modules:
        yield modules.study


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    lab = rng.uniform(0, 5, 400)
    lab[:50] = np.nan
    female = rng.integers(0, 2, 400)
    return pd.DataFrame(
        {
            "age": rng.normal(60, 12, 400).clip(0, 100) + 4 * female,
            "female": female.astype(np.int8),
            "rare": (np.arange(400) < 9).astype(np.int8),
            "ward": pd.Categorical(["surgery", "medicine", None, "medicine"] * 100, ["surgery", "medicine"]),
            "lab": lab,
            "patient": np.arange(400) // 2,
        }
    ).assign(age=lambda t: t["age"].clip(0, 100))


def test_it_says_what_pandas_says(study, table: pd.DataFrame) -> None:
    number, found = study.evaluate(study.initialize(CONFIG), table, CONFIG)
    assert number == 400
    counts = found["statistics_counts"]
    assert counts[0, :10].tolist() == np.histogram(table["age"], 10, (0, 100))[0].tolist()
    assert counts[1].tolist() == [*table["female"].value_counts().sort_index().tolist(), *[0] * 9]
    assert counts[3, [0, 1, -1]].tolist() == [100, 200, 100]
    assert counts[4, -1] == 50
    assert (counts.sum(axis=1) == 400).all()
    np.testing.assert_allclose(found["statistics_moments"][0], [table["age"].mean() * 10, table["age"].std() * 10])
    np.testing.assert_allclose(found["statistics_moments"][4], [table["lab"].mean() * 200, table["lab"].std() * 200])
    expected = table[["age", "female"]].corr().to_numpy()
    np.testing.assert_allclose(found["statistics_correlations"][:2, :2], expected)


def test_each_patient_counts_once(study, table: pd.DataFrame) -> None:
    number, found = study.evaluate({}, table, {**CONFIG, "everyone": "first"})
    assert number == 200
    assert found["statistics_counts"][2, :2].tolist() == [195, 5]


def test_nothing_is_told_of_few(study, table: pd.DataFrame) -> None:
    """Not by a mean of few, nor by an exact mean or a correlation of a column with a small count."""
    found = study.evaluate({}, table, CONFIG)[1]
    assert (found["statistics_correlations"][2] == -2).all()
    assert (found["statistics_moments"][[1, 2, 3]] == -1).all()
    few = table.assign(lab=table["lab"].where(table.index < 59))
    assert study.evaluate({}, few, CONFIG)[1]["statistics_moments"][4].tolist() == [-1, -1]
    together = table.assign(rare=(table["female"] & (table.index % 3 == 0)) | (table.index % 200 < 3)).astype(
        {"rare": np.int8}
    )
    pair = study.evaluate({}, together, CONFIG)[1]["statistics_correlations"]
    assert pair[1, 2] == pair[2, 1] == -2  # fewer than 10 are rare and not female
    assert pair[0, 2] > -2


def test_the_standard_policy_has_nothing_against_the_code() -> None:
    assert example("standard").check_code({path.name: path.read_text() for path in FOLDER.glob("*.py")}) == []
