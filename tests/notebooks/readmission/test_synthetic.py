from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from datasites.catalog.validate import check
from datasites.wire.dictionary import Dictionary
from notebooks.readmission.synthetic import generate
from policies.errors import InvalidInput

NAMES = ["st-luke", "charite", "mercy"]


def test_tables_fit_the_dictionary(dictionary: Dictionary) -> None:
    for table in generate(NAMES, 2000, seed=1).values():
        assert len(table) == 2000
        assert check(table, dictionary) == []
        assert list(table.columns) == ["patient_id", *dictionary.columns]


def test_a_hospital_depends_on_its_name_and_the_seed_alone() -> None:
    three, one = generate(NAMES, 300, seed=1), generate(["mercy"], 300, seed=1)
    pd.testing.assert_frame_equal(three["mercy"], one["mercy"])
    assert not one["mercy"].equals(generate(["mercy"], 300, seed=2)["mercy"])


def test_patients_return_but_belong_to_one_hospital() -> None:
    tables = generate(NAMES, 2000, seed=1)
    patients = [set(table["patient_id"]) for table in tables.values()]
    assert len(set.union(*patients)) == sum(map(len, patients))
    assert all(1200 < len(group) < 1700 for group in patients)


def test_hospitals_differ() -> None:
    means = pd.DataFrame(
        {name: table.drop(columns="patient_id").mean() for name, table in generate(NAMES, 4000, 1).items()}
    )
    spread = means.max(axis=1) - means.min(axis=1)
    assert spread["age_years"] > 2
    assert spread["insulin"] > 0.05
    assert spread["readmitted_30d"] > 0.01


def test_there_is_something_realistic_to_learn(code: SimpleNamespace) -> None:
    train, test = (pd.concat(generate([f"{part}-{name}" for name in NAMES], 4000, 3).values()) for part in ("a", "b"))
    model = LogisticRegression(max_iter=500).fit(code.features.inputs(train), code.features.labels(train))
    auc = roc_auc_score(code.features.labels(test), model.predict_proba(code.features.inputs(test))[:, 1])
    assert 0.67 < auc < 0.75


@pytest.mark.parametrize(("names", "rows"), [(["a", "a"], 10), (["a"], 0)])
def test_refuses_what_makes_no_hospital(names: list[str], rows: int) -> None:
    with pytest.raises(InvalidInput, match="name of its own"):
        generate(names, rows, seed=1)
