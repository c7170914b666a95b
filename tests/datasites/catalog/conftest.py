from __future__ import annotations

import pandas as pd
import pytest

from datasites.wire.dictionary import Dictionary

WARDS = """
[table]
name = "stays"
title = "Stays"
description = "One row per stay."
patient_key = "patient_id"
target = "readmitted"

[columns.age]
type = "number"
description = "Age."
unit = "years"
range = [0, 120]
typical = [65, 15]

[columns.visits]
type = "integer"
description = "Visits in the prior year."
range = [0, 40]
missing = true

[columns.days]
type = "integer"
description = "Length of stay."
range = [1, 30]

[columns.ward]
type = "category"
description = "Ward; None is the ward of no name."
categories = ["None", "NA", "3"]
missing = true

[columns.readmitted]
type = "boolean"
description = "Back within 30 days."
prior = 0.1
"""


@pytest.fixture
def stays() -> Dictionary:
    return Dictionary.from_toml(WARDS)


@pytest.fixture
def rows() -> pd.DataFrame:
    """Three sound stays of two patients, typed as a database might deliver them."""
    return pd.DataFrame(
        {
            "patient_id": [17, 17, 4],
            "age": [65, 66, 0.5],
            "visits": [2.0, None, 0.0],
            "days": ["1", "30", "7"],
            "ward": ["None", None, 3],
            "readmitted": [True, False, False],
        }
    )
