from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd


def test_scales_by_the_written_constants(code: SimpleNamespace, study_table: pd.DataFrame) -> None:
    inputs = code.features.inputs(study_table)
    assert (inputs.dtype, inputs.shape) == (np.float32, (len(study_table), 42))
    age, female = (inputs[:, code.features.FEATURES.index(name)] for name in ("age_years", "female"))
    np.testing.assert_allclose(age, (study_table["age_years"] - 65) / 15, rtol=1e-6)
    np.testing.assert_array_equal(female, study_table["female"])


def test_an_odd_entry_is_clipped(code: SimpleNamespace, study_table: pd.DataFrame) -> None:
    assert code.features.inputs(study_table.assign(num_medications=1000)).max() == 5


def test_order_of_columns_does_not_matter(code: SimpleNamespace, study_table: pd.DataFrame) -> None:
    backwards = study_table[study_table.columns[::-1]]
    np.testing.assert_array_equal(code.features.inputs(backwards), code.features.inputs(study_table))
