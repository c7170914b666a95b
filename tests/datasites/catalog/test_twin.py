from __future__ import annotations

import io
import string
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasites.catalog.tables import TableSource
from datasites.catalog.twin import mock_twin
from datasites.catalog.validate import check, conform
from datasites.wire.dictionary import Column, Dictionary, Table
from policies.errors import InvalidInput

NAMES = st.text(string.ascii_letters + "_", min_size=1, max_size=8).filter(lambda name: name not in ("patient", "key"))
WHOLE = st.integers(-(2**53), 2**53).map(float)
REAL = st.floats(-(2.0**53), 2.0**53)


def numeric(kind: str, bounds: st.SearchStrategy[float]) -> st.SearchStrategy[dict[str, Any]]:
    def entry(span: list[float], place: int, spread: float | None) -> dict[str, Any]:
        low, high = sorted(span)
        typical = {} if spread is None else {"typical": ([low, high][place], spread)}
        return {"type": kind, "range": (low, high), **typical}

    spreads = st.none() | st.floats(5e-324, 1e308)
    return st.builds(entry, st.lists(bounds, min_size=2, max_size=2), st.integers(0, 1), spreads)


ENTRIES = st.one_of(
    numeric("number", REAL),
    numeric("integer", WHOLE),
    st.builds(lambda prior: {"type": "boolean", "prior": prior}, st.none() | st.floats(0, 1)),
    st.builds(
        lambda words: {"type": "category", "categories": tuple(words)},
        st.lists(st.sampled_from(["None", "NA", "a,b", '"', "é", " x", "1", "True", "-"]), min_size=1, unique=True),
    ),
)


@st.composite
def dictionaries(draw: st.DrawFn) -> Dictionary:
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    columns = [Column(name=n, description="d", missing=draw(st.booleans()), **draw(ENTRIES)) for n in names]
    table = Table(name="t", title="t", description="d", patient_key="key", target=draw(st.sampled_from(names)))
    return Dictionary(table=table, columns=tuple(columns))


@settings(deadline=None)
@given(dictionaries(), st.integers(1, 40), st.integers(0, 2**64))
def test_every_twin_fits_its_dictionary_also_after_a_trip_through_csv(
    dictionary: Dictionary, rows: int, seed: int
) -> None:
    twin = mock_twin(dictionary, rows, seed)
    assert check(twin, dictionary) == []
    assert len(twin) == rows
    text = twin.to_csv(index=False)
    read = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False, na_values=[""])
    pd.testing.assert_frame_equal(conform(read, dictionary), twin, check_exact=True)
    assert mock_twin(dictionary, rows, seed).to_csv(index=False) == text


def test_a_saved_twin_is_read_back_as_it_was(stays: Dictionary, tmp_path: Path) -> None:
    twin = mock_twin(stays, 300, 1)
    twin.to_csv(tmp_path / "twin.csv", index=False)
    pd.testing.assert_frame_equal(conform(TableSource(path=tmp_path / "twin.csv").read(), stays), twin)


def test_the_twin_follows_what_the_dictionary_says_is_typical(stays: Dictionary) -> None:
    twin = mock_twin(stays, 20_000, 7)
    # a normal of 65 +- 15 cut off at 0 and 120
    assert twin["age"].mean() == pytest.approx(65, abs=0.5)
    assert twin["age"].std() == pytest.approx(15, abs=0.5)
    assert twin["readmitted"].mean() == pytest.approx(0.1, abs=0.01)
    assert twin["days"].value_counts(normalize=True).between(1 / 30 - 0.008, 1 / 30 + 0.008).sum() == 30
    assert twin["visits"].isna().mean() == pytest.approx(0.05, abs=0.01)


def test_patients_have_several_encounters_that_resemble_each_other(stays: Dictionary) -> None:
    twin = mock_twin(stays, 5_000, 7)
    assert twin["patient_id"].nunique() == pytest.approx(0.7 * 5_000, rel=0.05)
    pairs = twin.groupby("patient_id")["age"].agg(["first", "last", "size"]).query("size > 1")
    assert pairs["first"].corr(pairs["last"]) > 0.15
    strangers = twin["age"].corr(twin["age"].shift())
    assert abs(strangers) < 0.1


@pytest.mark.parametrize("prior", [0.0, 1.0])
def test_both_classes_occur_whatever_the_prior(stays: Dictionary, prior: float) -> None:
    target = stays.columns["readmitted"].model_copy(update={"prior": prior})
    rare = Dictionary(table=stays.table, columns=(*stays.listed[:-1], target))
    assert set(mock_twin(rare, 2, 0)["readmitted"]) == {0, 1}


def test_another_seed_gives_another_twin_and_a_new_column_leaves_the_others(stays: Dictionary) -> None:
    twin = mock_twin(stays, 50, 1)
    assert not twin.equals(mock_twin(stays, 50, 2))
    shorter = Dictionary(table=stays.table, columns=stays.listed[1:])
    pd.testing.assert_frame_equal(mock_twin(shorter, 50, 1), twin.drop(columns="age"))


def test_impossible_requests_are_refused(stays: Dictionary) -> None:
    for rows, seed in ((0, 1), (1, -1)):
        with pytest.raises(InvalidInput):
            mock_twin(stays, rows, seed)
