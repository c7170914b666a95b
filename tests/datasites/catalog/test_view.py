from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pandas as pd
import pytest

from datasites.catalog.validate import conform
from datasites.catalog.view import count_view, study_view
from datasites.wire.dictionary import Dictionary
from policies.errors import InvalidInput

SECRET = b"0123456789abcdef"


def test_the_view_is_the_columns_asked_for_and_the_pseudonym(stays: Dictionary, rows: pd.DataFrame) -> None:
    table = conform(rows, stays)
    view = study_view(table, stays, ["readmitted", "age"], SECRET)
    assert list(view.columns) == ["readmitted", "age", "patient"]
    assert view["age"].tolist() == [65, 66, 0.5]
    digest = hmac.new(SECRET, b"stays\x0017", hashlib.sha256).digest()
    assert view["patient"].dtype == "int64"
    assert view["patient"].tolist()[:2] == [int.from_bytes(digest[:8], "big") // 2] * 2
    assert view["patient"].nunique() == 2


def test_another_secret_or_table_gives_unlinkable_pseudonyms(stays: Dictionary, rows: pd.DataFrame) -> None:
    table = conform(rows, stays)
    renamed = stays.model_copy(update={"table": stays.table.model_copy(update={"name": "visits"})})
    views = [study_view(table, d, ["age"], s) for d, s in [(stays, SECRET), (stays, SECRET[::-1]), (renamed, SECRET)]]
    assert len({patient for view in views for patient in view["patient"]}) == 6


def test_writing_to_the_view_does_not_change_the_table(stays: Dictionary, rows: pd.DataFrame) -> None:
    table = conform(rows, stays)
    before = table.copy(deep=True)
    view = study_view(table, stays, ["age"], SECRET)
    view.loc[:, "age"] = 0.0
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        (["age", "patient_id"], "never given to a study"),
        (["age", "patient"], "has no column 'patient'"),
        (["name", "zip"], "has no column 'name', 'zip'"),
        (["age", "age"], "twice"),
    ],
)
def test_other_columns_are_refused(stays: Dictionary, rows: pd.DataFrame, columns: list[str], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        study_view(conform(rows, stays), stays, columns, SECRET)


def test_a_short_secret_and_an_unconformed_table_are_refused(stays: Dictionary, rows: pd.DataFrame) -> None:
    with pytest.raises(InvalidInput, match="shorter than 16"):
        study_view(conform(rows, stays), stays, ["age"], b"short")
    with pytest.raises(InvalidInput, match="lacks patient_id"):
        study_view(rows.drop(columns="patient_id"), stays, ["age"], SECRET)


def test_a_view_is_counted_by_rows_and_patients(stays: Dictionary, rows: pd.DataFrame, tmp_path: Path) -> None:
    twice = pd.concat([rows, rows], ignore_index=True)
    study_view(conform(twice, stays), stays, ["age"], SECRET).to_parquet(tmp_path / "view.parquet", index=False)
    assert count_view(tmp_path / "view.parquet") == (len(twice), rows["patient_id"].nunique())
