from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd


def test_seventy_ten_twenty(code: SimpleNamespace) -> None:
    table = pd.DataFrame({"patient": np.random.default_rng(1).integers(0, 2**63 - 1, 50_000)})
    shares = [len(code.splits.rows_of(split, table, seed=3)) / len(table) for split in ("train", "validation", "test")]
    np.testing.assert_allclose(shares, [0.7, 0.1, 0.2], atol=0.01)
    assert sum(shares) == 1


def test_pseudonyms_in_a_row_spread_evenly(code: SimpleNamespace) -> None:
    place = code.splits.place_of(np.arange(50_000), seed=0)
    np.testing.assert_allclose(np.histogram(place, bins=10, range=(0, 1))[0], 5000, rtol=0.06)


def test_no_patient_is_on_two_sides(code: SimpleNamespace, study_table: pd.DataFrame) -> None:
    sides = [set(code.splits.rows_of(split, study_table, 1)["patient"]) for split in code.splits.SPLITS]
    assert len(set.union(*sides)) == sum(map(len, sides)) == study_table["patient"].nunique()


def test_another_seed_splits_otherwise(code: SimpleNamespace) -> None:
    patient = np.arange(10_000)
    first, second = (code.splits.place_of(patient, seed) for seed in (1, 2))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.05
    np.testing.assert_array_equal(first, code.splits.place_of(patient, 1))
