from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from datasites.wire.dictionary import Dictionary
from policies.errors import InvalidInput

GOOD = """
[table]
name = "stays"
title = "Stays"
description = "One row per stay."
patient_key = "patient_id"
target = "readmitted"

[columns.zeal]
type = "number"
description = "Zeal <b>."
unit = "z"
range = [0, 120]
typical = [65, 15]

[columns.ward]
type = "category"
description = "Ward."
categories = ["b", "a"]
missing = true

[columns.readmitted]
type = "boolean"
description = "Back within 30 days."
prior = 0.1
"""


def refusal(text: str) -> str:
    with pytest.raises(InvalidInput) as error:
        Dictionary.from_toml(text)
    return str(error.value)


def test_json_keeps_everything_and_the_columns_order() -> None:
    dictionary = Dictionary.from_toml(GOOD)
    again = Dictionary.from_json(dictionary.to_json())
    assert again == dictionary
    assert list(again.columns) == ["zeal", "ward", "readmitted"]
    assert again.columns["ward"].categories == ("b", "a")
    assert again.digest == dictionary.digest
    assert Dictionary.model_validate_json(dictionary.model_dump_json()) == dictionary
    assert pickle.loads(pickle.dumps(dictionary)).digest == dictionary.digest  # noqa: S301


def test_the_digest_sees_meaning_and_not_spelling() -> None:
    digest = Dictionary.from_toml(GOOD).digest
    assert Dictionary.from_toml(GOOD.replace("[0, 120]", "[0.0, 1.2e2]")).digest == digest
    assert Dictionary.from_toml(GOOD.replace("prior = 0.1", "missing = false\nprior = 0.1")).digest == digest
    assert Dictionary.from_toml(GOOD.replace("120", "121")).digest != digest
    assert Dictionary.from_toml(GOOD.replace('["b", "a"]', '["a", "b"]')).digest != digest


def test_every_problem_is_named_at_once_in_plain_words() -> None:
    text = refusal("""
colour = "red"
[table]
name = "1st"
title = ""
patient_key = "age"
target = "gone"
[columns.age]
type = "number"
description = "Age."
prior = 0.5
range = [120, 0]
[columns.patient]
type = "text"
[columns.ward]
type = "category"
description = "Ward."
categories = ["a", "a"]
missing = "yes"
[columns.score]
type = "integer"
description = "Score."
range = [0, 1.5]
typical = [9, 0]
[columns.note]
type = "integer"
description = 3
range = [0, nan]
""")
    for problem in (
        "The dictionary has `colour`, which is not an entry of this format.",
        "The table name '1st' must be 1 to 64 letters",
        "The table: `title` must not be empty.",
        "The table needs `description`.",
        "The patient key 'age' is listed as a column",
        "The target 'gone' is not a listed column.",
        "Column 'age' has `prior`, which only a boolean may have.",
        "Column 'age' has a `range` whose first number is above its second.",
        "The column name 'patient' is reserved",
        "Column 'patient': `type` must be 'number', 'integer', 'boolean', 'category' or 'image'.",
        "Column 'patient' needs `description`.",
        "Column 'ward' lists the category 'a' 2 times.",
        "Column 'ward': `missing` must be a valid boolean.",
        "Column 'score' is an integer, so its `range` must be whole numbers.",
        "Column 'score' has a `typical` whose spread",
        "Column 'score' has a `typical` whose centre",
        "Column 'note': `description` must be a valid string.",
        "Column 'note': `range` must be a finite number.",
    ):
        assert f"- {problem}" in text, problem
    assert "pydantic" not in text
    assert text.count("\n- ") == 18


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("range = [0, 120]", ""),
        ("range = [0, 120]", "range = [0, 1e16]"),
        ("range = [0, 120]", "range = [0, 120, 3]"),
        ("range = [0, 120]", f"range = [0, {'9' * 400}]"),
        ("range = [0, 120]", "range = [false, true]"),
        ("typical = [65, 15]", "typical = [121, 15]"),
        ('categories = ["b", "a"]', "categories = []"),
        ('categories = ["b", "a"]', 'categories = ["b", ""]'),
        ('categories = ["b", "a"]', 'categories = ["b\\nc"]'),
        ("prior = 0.1", "prior = 1.1"),
        ('title = "Stays"', 'title = "\\u001b[2J"'),
        ('title = "Stays"', 'title = "\\u202eStays"'),
        ("[columns.zeal]", '[columns."zeal; drop"]'),
        ("[columns.zeal]", "[columns.patient]"),
        ('patient_key = "patient_id"', 'patient_key = "patient"'),
        ("[table]", "[tables]"),
        ("[table]", "[table"),
    ],
)
def test_an_unsound_dictionary_is_refused(old: str, new: str) -> None:
    assert old in GOOD
    refusal(GOOD.replace(old, new))


def test_there_is_no_free_text() -> None:
    assert "`type` must be" in refusal(GOOD.replace('type = "category"', 'type = "text"'))


def test_more_than_2000_columns_are_refused() -> None:
    more = "".join(f'[columns.c{n}]\ntype="boolean"\ndescription="d"\n' for n in range(1997))
    assert len(Dictionary.from_toml(GOOD + more).columns) == 2000
    assert "2000" in refusal(GOOD + more + '[columns.one_more]\ntype="boolean"\ndescription="d"\n')


@pytest.mark.parametrize("data", [b"{", b"\xff", "[" * 100_000, "[]", "3", '{"columns": 3}', '{"columns": [3]}', "NaN"])
def test_json_that_is_no_dictionary_is_refused(data: bytes | str) -> None:
    with pytest.raises(InvalidInput):
        Dictionary.from_json(data)


def test_lone_surrogates_are_refused() -> None:
    raw = json.loads(Dictionary.from_toml(GOOD).to_json())
    raw["table"]["title"] = "\ud800"
    with pytest.raises(InvalidInput):
        Dictionary.from_json(json.dumps(raw))


def test_it_shows_itself_without_letting_markup_through() -> None:
    dictionary = Dictionary.from_toml(GOOD)
    frame = dictionary.to_frame()
    assert list(frame.columns) == ["column", "type", "unit", "allowed", "description"]
    assert frame["allowed"].tolist() == ["0 to 120", "b, a; may be missing", "0 or 1"]
    html = dictionary._repr_html_()
    assert "Zeal &lt;b&gt;." in html
    assert "<b>" not in html


def test_loading_explains_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "d.toml").write_text(GOOD, encoding="utf-8")
    assert Dictionary.load(tmp_path / "d.toml").table.name == "stays"
    (tmp_path / "d.toml").write_bytes(b"\xff")
    for path in (tmp_path / "d.toml", tmp_path / "none.toml", tmp_path):
        with pytest.raises(InvalidInput, match=path.name):
            Dictionary.load(path)
