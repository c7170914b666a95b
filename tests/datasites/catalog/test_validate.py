from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from datasites.catalog.validate import check, conform
from datasites.wire.dictionary import Dictionary
from policies.errors import InvalidInput


def broken(frame: pd.DataFrame, dictionary: Dictionary) -> list[tuple[str, str, int]]:
    return [(v.column, v.rule, v.rows) for v in check(frame, dictionary)]


def test_conform_gives_the_promised_types_in_the_dictionarys_order(stays: Dictionary, rows: pd.DataFrame) -> None:
    shuffled = rows[["readmitted", "ward", "days", "visits", "age", "patient_id"]].set_index(pd.Index([5, 5, 9]))
    table = conform(shuffled, stays)
    assert list(table.columns) == ["patient_id", *stays.columns]
    assert [table[c].dtype.name for c in ("age", "visits", "days", "readmitted")] == [
        "float64",
        "float64",
        "int64",
        "int8",
    ]
    assert list(table["ward"].cat.categories) == ["None", "NA", "3"]
    assert table["ward"].tolist()[::2] == ["None", "3"]
    assert table["ward"].isna().tolist() == [False, True, False]
    assert table["patient_id"].tolist() == ["17", "17", "4"]
    assert table["readmitted"].tolist() == [1, 0, 0]
    assert list(table.index) == [0, 1, 2]


def test_conform_leaves_its_input_alone_and_accepts_its_own_output(stays: Dictionary, rows: pd.DataFrame) -> None:
    before = rows.copy(deep=True)
    table = conform(rows, stays)
    pd.testing.assert_frame_equal(rows, before)
    pd.testing.assert_frame_equal(conform(table, stays), table)


def test_check_counts_the_rows_of_every_broken_rule(stays: Dictionary) -> None:
    frame = pd.DataFrame(
        {
            "patient_id": ["a", None, "c", ""],
            "age": ["121", "old", "", "65"],
            "visits": ["1.5", "-1", "", "41"],
            "days": ["1e1", "0", "nan", "inf"],
            "ward": ["None", "none", "", "3"],
            "readmitted": ["1", "yes", "0.5", "2"],
        }
    )
    assert sorted(broken(frame, stays)) == [
        ("age", "missing", 1),
        ("age", "range", 1),
        ("age", "type", 1),
        ("days", "range", 1),
        ("days", "type", 2),
        ("patient_id", "missing", 2),
        ("readmitted", "range", 1),
        ("readmitted", "type", 1),
        ("readmitted", "whole", 1),
        ("visits", "range", 2),
        ("visits", "whole", 1),
        ("ward", "category", 1),
    ]


def test_the_refusal_lists_everything_and_quotes_no_cell(stays: Dictionary, rows: pd.DataFrame) -> None:
    rows["age"] = ["Mrs Secret", 1, 2]
    rows["days"] = 987654
    with pytest.raises(InvalidInput) as refusal:
        conform(rows.drop(columns="visits"), stays)
    text = str(refusal.value)
    assert all(part in text for part in ("age: type (1 row)", "days: range (3 rows)", "visits: absent", "1 to 30"))
    assert "Secret" not in text
    assert "987654" not in text


def test_unlisted_columns_are_named_and_refused_unless_dropped(stays: Dictionary, rows: pd.DataFrame) -> None:
    rows["doctor"] = "x"
    rows["Mr. Smith"] = "x"
    assert broken(rows, stays) == [("doctor", "unlisted", 0), ("(1 columns with unusual names)", "unlisted", 0)]
    assert "doctor" not in conform(rows, stays, drop_unlisted=True)


def test_a_table_without_a_header_is_refused_without_quoting_its_first_row(
    stays: Dictionary, rows: pd.DataFrame
) -> None:
    headless = rows.set_axis(["Smith", "65", "2", "1", "None", "1"], axis=1)
    (violation,) = check(headless, stays)
    assert "Smith" not in str(violation)


def test_repeated_columns_and_empty_tables_are_refused(stays: Dictionary, rows: pd.DataFrame) -> None:
    assert ("age", "repeated", 0) in broken(pd.concat([rows, rows[["age"]]], axis=1), stays)
    assert ("(table)", "empty", 0) in broken(rows.iloc[:0], stays)


def test_a_patient_key_that_lost_digits_is_refused(stays: Dictionary, rows: pd.DataFrame) -> None:
    rows["patient_id"] = [2.0**53, 1.0, 2.0]
    assert broken(rows, stays) == [("patient_id", "precision", 1)]


@pytest.mark.parametrize("text", ["1_000", "0x10", "1,5", "٣", "infinity", "one", "1 2", "-", "1e"])
def test_only_plain_decimal_notation_is_a_number(stays: Dictionary, rows: pd.DataFrame, text: str) -> None:
    rows["age"] = ["+6.5e1", " 66.", text]
    assert broken(rows, stays) == [("age", "type", 1)]


def test_text_is_read_to_the_last_digit(stays: Dictionary, rows: pd.DataFrame) -> None:
    rows["age"] = ["0.1", "64.99999999999999", "3.0000000000000004"]
    assert conform(rows, stays)["age"].tolist() == [0.1, 64.99999999999999, 3.0000000000000004]


@pytest.mark.parametrize("keys", [[7, 7, 8], [7.0, 7.0, 8.0], ["7", "7", "8"], [7, "7", 8.0]])
def test_a_patient_is_the_same_whether_the_key_came_as_number_or_text(
    stays: Dictionary, rows: pd.DataFrame, keys: list[object]
) -> None:
    rows["patient_id"] = pd.Series(keys)
    assert conform(rows, stays)["patient_id"].tolist() == ["7", "7", "8"]


@pytest.mark.parametrize(
    "values",
    [pd.to_datetime(["2020-01-01"] * 3), [b"1"] * 3, [[1], [2], [3]], [1j] * 3, [pd.Timedelta(1)] * 3],
    ids=["dates", "bytes", "lists", "complex", "durations"],
)
def test_what_is_neither_number_nor_text_is_a_wrong_type(
    stays: Dictionary, rows: pd.DataFrame, values: list[object]
) -> None:
    rows["age"] = values
    assert broken(rows, stays) == [("age", "type", 3)]


def test_nullable_and_categorical_sources_conform_like_plain_ones(stays: Dictionary, rows: pd.DataFrame) -> None:
    other = rows.astype({"patient_id": "string", "visits": "Int64", "days": "category", "readmitted": "boolean"})
    other["age"] = other["age"].astype(np.float32)
    pd.testing.assert_frame_equal(conform(other, stays), conform(rows, stays))
