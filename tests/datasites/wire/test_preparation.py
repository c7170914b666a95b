from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from datasites.wire.dictionary import Dictionary
from datasites.wire.preparation import CategoryInput, NumberInput, Preparation, Target, standard_input

READMISSION = Path(__file__).parents[3] / "notebooks" / "readmission"
DICTIONARY = Dictionary.from_toml(
    """
    [table]
    name = "t"
    title = "T"
    description = "T"
    patient_key = "id"
    target = "dead"
    [columns.age]
    type = "number"
    description = "Age."
    range = [0, 120]
    typical = [65, 15]
    [columns.score]
    type = "integer"
    description = "Score."
    range = [0, 10]
    missing = true
    [columns.smokes]
    type = "boolean"
    description = "Smokes."
    missing = true
    [columns.ward]
    type = "category"
    description = "Ward."
    categories = ["a", "b", "c"]
    [columns.dead]
    type = "boolean"
    description = "Died."
    """
)
TARGET = Target(column="dead")


def preparation(*inputs: NumberInput | CategoryInput, target: Target = TARGET) -> Preparation:
    return Preparation(inputs=inputs, target=target)


def test_what_is_usual_for_a_column_follows_from_its_public_entry() -> None:
    usual = {name: standard_input(column) for name, column in DICTIONARY.columns.items()}
    assert usual["age"] == NumberInput(column="age", center=65, scale=15)
    assert usual["score"] == NumberInput(column="score", center=5, scale=5, indicator=True)
    assert usual["smokes"] == NumberInput(column="smokes", missing=0.5, indicator=True)
    assert usual["ward"] == CategoryInput(column="ward", categories=("a", "b", "c"))
    whole = preparation(*(usual[name] for name in ("age", "score", "smokes", "ward")))
    assert whole.width == 1 + 2 + 2 + 3
    assert whole.columns == ("age", "score", "smokes", "ward", "dead")
    assert whole.problems(DICTIONARY) == []


def test_the_readmission_studys_scaling_can_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(READMISSION / "study"))
    sys.modules.pop("features", None)
    import features

    inputs = (NumberInput(column=n, center=float(c), scale=float(s)) for n, (c, s) in features.SCALING.items())
    asked = preparation(*inputs, target=Target(column=features.TARGET))
    assert asked.width == 42
    assert asked.problems(Dictionary.load(READMISSION / "dictionary.toml")) == []


@pytest.mark.parametrize(
    ("inputs", "target", "problem"),
    [
        ([NumberInput(column="height")], TARGET, "no column height"),
        ([NumberInput(column="ward")], TARGET, "'ward' is a category"),
        ([CategoryInput(column="age", categories=("a",))], TARGET, "'age' is a number"),
        ([CategoryInput(column="ward", categories=("a", "b"))], TARGET, "other categories"),
        ([NumberInput(column="smokes")], Target(column="age"), "only a boolean"),
        ([NumberInput(column="smokes")], Target(column="ward", kind="number"), "cannot be a number"),
    ],
)
def test_what_does_not_fit_the_table_is_told(
    inputs: list[NumberInput | CategoryInput], target: Target, problem: str
) -> None:
    assert problem in " ".join(preparation(*inputs, target=target).problems(DICTIONARY))


@pytest.mark.parametrize(
    "inputs", [[], [NumberInput(column="age"), NumberInput(column="age")], [NumberInput(column="dead")]]
)
def test_a_target_is_no_input_and_no_column_comes_twice(inputs: list[NumberInput]) -> None:
    with pytest.raises(ValidationError):
        preparation(*inputs)


@pytest.mark.parametrize("change", [{"scale": 0.0}, {"low": 2.0, "high": 1.0}, {"center": float("nan")}, {"mean": 1}])
def test_constants_that_make_no_sense_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        NumberInput.model_validate({"column": "age", **change})
