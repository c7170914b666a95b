"""Constants from the dictionary or from released statistics; and that study code prepares by them as scikit-learn does
on all patients together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import researcher as wr
from datasites.catalog.validate import conform
from datasites.training.prepare import numbers_of
from datasites.wire.preparation import NumberInput
from policies.examples import example
from tests.researcher.test_federated_statistics import ALL, DICTIONARY, TABLES, _asked
from tests.support.studies import modules_of

CODE = Path(__file__).parents[2] / "notebooks" / "readmission" / "preprocessing"
COLUMNS = ["age", "lactate", "ward", "died"]


@pytest.fixture(scope="module")
def found() -> wr.Statistics:
    return _asked(min_cohort=1, min_cell=1)


def _transformed(prepared: wr.Preprocessing, table: pd.DataFrame) -> np.ndarray:
    with modules_of(CODE) as modules:
        constants = json.loads(json.dumps(prepared.config))
        result: np.ndarray = modules.prepare.transform(conform(table, DICTIONARY), constants)
        return result


def test_hospitals_prepare_as_scikit_learn_would_all_patients_together(found: wr.Statistics) -> None:
    prepared = wr.Preprocessing.from_statistics(found, COLUMNS)
    together = ColumnTransformer(
        [
            ("age", StandardScaler(), ["age"]),
            ("lactate", SimpleImputer(), ["lactate"]),
            ("ward", OneHotEncoder(categories=[["surgery", "medicine"]], sparse_output=False), ["ward"]),
            ("died", "passthrough", ["died"]),
        ]
    ).fit(ALL)
    assert prepared.statistics_["lactate"] == pytest.approx(together.named_transformers_["lactate"].statistics_[0])
    mine = _transformed(prepared, TABLES["south"])
    theirs = together.transform(TABLES["south"])
    shrunk = np.sqrt((len(ALL) - 1) / len(ALL))  # StandardScaler divides by n, and ours by n - 1
    np.testing.assert_allclose(mine[:, 0], theirs[:, 0] * shrunk, atol=1e-3)
    np.testing.assert_allclose(
        mine[:, 1], ((theirs[:, 1] - ALL["lactate"].mean()) / ALL["lactate"].std()).clip(-5, 5), atol=1e-3
    )
    assert mine[:, 2].tolist() == TABLES["south"]["lactate"].isna().astype(float).tolist()
    np.testing.assert_array_equal(mine[:, 3:], theirs[:, 2:])
    assert prepared.get_feature_names_out() == [
        "age", "lactate", "lactate_missing", "ward_surgery", "ward_medicine", "died",
    ]  # fmt: skip
    assert prepared.categories_ == {"ward": ("surgery", "medicine")}


def test_study_code_and_the_hospitals_own_training_prepare_alike(found: wr.Statistics) -> None:
    table = conform(TABLES["east"], DICTIONARY)
    table.loc[:4, "lactate"] = np.nan
    for prepared in (
        wr.Preprocessing.from_statistics(found, strategy="median"),
        wr.Preprocessing.from_dictionary(DICTIONARY),
    ):
        own = numbers_of(table, prepared.inputs).astype(np.float32)
        with modules_of(CODE) as modules:
            np.testing.assert_array_equal(modules.prepare.transform(table, prepared.config), own)


def test_a_withheld_mean_is_asked_for_elsewhere_and_a_withheld_share_is_not_needed() -> None:
    strict = _asked(min_cohort=190)
    with pytest.raises(wr.InvalidInput, match="No hospital tells the mean of 'days'"):
        wr.Preprocessing.from_statistics(strict)
    died = wr.Preprocessing.from_statistics(strict, ["died"]).inputs[0]
    assert died == NumberInput(column="died", missing=0.5, indicator=True)  # whether some are missing is withheld too


def test_private_counts_give_centres() -> None:
    asked = wr.PrivateStatistics("who", "Test", "stays", ["age", "ward"], noise_multiplier=0.5)
    statistics = asked.statistics(DICTIONARY)
    rows = {f"do@{name}.org": np.array([500.0, 50, 200, 300]) for name in TABLES}
    prepared = wr.Preprocessing.from_statistics(wr.Counts(statistics, rows))
    assert prepared.mean_["age"] == pytest.approx(54.5 * 1.1)
    assert prepared.scale_["age"] == 54.5


def test_what_cannot_be_prepared_is_said(found: wr.Statistics) -> None:
    with pytest.raises(wr.InvalidInput, match="no column height"):
        wr.Preprocessing.from_dictionary(DICTIONARY, ["height"])
    with pytest.raises(wr.InvalidInput, match="height was not asked for"):
        wr.Preprocessing.from_statistics(found, ["height"])
    with pytest.raises(wr.InvalidInput, match="stand for what is missing"):
        wr.Preprocessing.from_statistics(found, strategy="mode")  # type: ignore[arg-type]


def test_the_standard_policy_has_nothing_against_the_code() -> None:
    assert example("standard").check_code({path.name: path.read_text() for path in CODE.glob("*.py")}) == []
