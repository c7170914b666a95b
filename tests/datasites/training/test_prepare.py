from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from datasites.training.prepare import prepare
from datasites.wire.preparation import CategoryInput, ImageInput, NumberInput, Preparation, Target

VIEW = pd.DataFrame(
    {
        "age": [65.0, 80.0, np.nan, 1e9],
        "smokes": [1.0, 0.0, np.nan, 1.0],
        "ward": pd.Categorical(["b", "a", None, "c"], categories=["a", "b", "c"]),
        "dead": [0.0, 1.0, np.nan, 1.0],
        "patient": [7, 8, 8, 9],
    }
)
AGE = NumberInput(column="age", center=65, scale=15)
SMOKES = NumberInput(column="smokes", missing=0.5, indicator=True)
WARD = CategoryInput(column="ward", categories=("a", "b", "c"))


def rows(*inputs: NumberInput | CategoryInput, target: str = "dead") -> np.ndarray:
    return prepare(VIEW.fillna({"dead": 0}), Preparation(inputs=inputs, target=Target(column=target))).inputs


def test_numbers_are_centred_scaled_and_clipped_and_a_missing_one_is_the_centre() -> None:
    assert rows(AGE)[:, 0].tolist() == [0, 1, 0, 5]
    assert rows(AGE).dtype == np.float32


def test_a_missing_boolean_is_its_constant_and_says_so() -> None:
    assert rows(SMOKES).tolist() == [[1, 0], [0, 0], [0.5, 1], [1, 0]]


def test_categories_are_one_hot_or_an_index() -> None:
    assert rows(WARD).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert rows(WARD.model_copy(update={"encoding": "index"}))[:, 0].tolist() == [1, 0, 3, 2]


def test_rows_without_a_target_are_left_out() -> None:
    found = prepare(VIEW, Preparation(inputs=(AGE,), target=Target(column="dead")))
    assert found.targets.tolist() == [0, 1, 1]
    assert found.patients.tolist() == [7, 8, 9]


def test_no_value_of_a_patient_raises_an_error_or_leaves_what_is_no_number() -> None:
    wild = pd.DataFrame(
        {"age": ["ten", None, "1e400", "-inf"], "ward": ["z", 3, None, "a"], "dead": [1, 0, 1, 0], "patient": [1] * 4}
    )
    asked = Preparation(inputs=(AGE, WARD), target=Target(column="dead"))
    assert np.isfinite(prepare(wild, asked).inputs).all()


def test_a_row_becomes_the_same_whoever_else_is_in_the_table() -> None:
    asked = Preparation(inputs=(AGE, SMOKES, WARD), target=Target(column="dead"))
    whole = prepare(VIEW, asked)
    alone = prepare(VIEW[VIEW["patient"] == 9], asked)
    assert whole.of(whole.patients == 9).inputs.tolist() == alone.inputs.tolist()


@pytest.mark.parametrize(("kind", "expected"), [("binary", [1.0]), ("number", [5.0])])
def test_targets_are_bounded(kind: str, expected: list[float]) -> None:
    view = pd.DataFrame({"age": [60.0], "cost": [1e12], "patient": [1]})
    target = Target.model_validate({"column": "cost", "kind": kind, "scale": 100.0})
    assert prepare(view, Preparation(inputs=(AGE,), target=target)).targets.tolist() == expected


def test_an_image_is_scaled_pixel_by_pixel_and_one_that_is_none_is_grey() -> None:
    view = pd.DataFrame(
        {"scan": [bytes([0, 50, 100, 250]), b"short", None, 7], "dead": [1, 0, 1, 0], "patient": [1, 2, 3, 4]}
    )
    scan = ImageInput(column="scan", shape=(1, 2, 2), center=50.0, scale=25.0)
    found = prepare(view, Preparation(inputs=(scan,), target=Target(column="dead")))
    assert found.inputs.dtype == np.float32
    assert found.inputs.tolist() == [[-2, 0, 2, 5], [0] * 4, [0] * 4, [0] * 4]
