"""An image column, from the hospital's table to its twin."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datasites.catalog.publish import _rows
from datasites.catalog.tables import TableSource
from datasites.catalog.twin import mock_twin
from datasites.catalog.validate import check, conform
from datasites.wire.dictionary import Dictionary
from datasites.wire.images import as_text, layout
from policies.errors import InvalidInput

SCANS = """
[table]
name = "scans"
title = "Scans"
description = "One row per image."
patient_key = "patient_id"
target = "found"

[columns.scan]
type = "image"
description = "Four rows of three pixels."
height = 4
width = 3
range = [0, 255]

[columns.found]
type = "boolean"
description = "Something was found."
"""
SCAN = bytes(range(12))


def scans(text: str = SCANS) -> Dictionary:
    return Dictionary.from_toml(text)


def table(*cells: object) -> pd.DataFrame:
    return pd.DataFrame({"patient_id": range(len(cells)), "scan": list(cells), "found": 0})


def found(dictionary: Dictionary, *cells: object) -> list[tuple[str, int]]:
    return [(one.rule, one.rows) for one in check(table(*cells), dictionary)]


@pytest.mark.parametrize("cell", [SCAN, bytearray(SCAN), memoryview(SCAN), base64.b64encode(SCAN).decode()])
def test_a_cell_is_its_pixels_however_the_source_gives_them(cell: object) -> None:
    assert conform(table(cell, SCAN), scans())["scan"].tolist() == [SCAN, SCAN]


def test_parquet_and_csv_give_the_same_table(tmp_path: Path) -> None:
    whole = conform(table(SCAN, SCAN[::-1]), scans())
    whole.to_parquet(tmp_path / "t.parquet", index=False)
    as_text(whole, scans()).to_csv(tmp_path / "t.csv", index=False)
    for name in ("t.parquet", "t.csv"):
        pd.testing.assert_frame_equal(conform(TableSource(path=tmp_path / name).read(), scans()), whole)


def test_what_is_no_such_image_is_refused_by_rows_and_not_quoted() -> None:
    header = b"PATIENT: JANE ROE"
    assert found(scans(), SCAN, SCAN + header, b"", "no base64!", 7, None, "") == [
        ("missing", 2),
        ("type", 2),
        ("shape", 2),
    ]
    with pytest.raises(InvalidInput) as refused:
        conform(table(SCAN + header, SCAN), scans())
    assert "4 x 3 pixels, each from 0 to 255: 12 bytes" in str(refused.value)
    assert "JANE" not in str(refused.value)


def test_two_bytes_a_pixel_and_a_narrower_range() -> None:
    deep = scans(SCANS.replace("[0, 255]", "[0, 4095]").replace("height", "channels = 2\nheight"))
    assert layout(deep.columns["scan"]).shape == (2, 4, 3)
    dark, bright = (np.full(24, value, "<u2").tobytes() for value in (4095, 4096))
    assert found(deep, dark, bright) == [("range", 1)]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("height = 4", "", "needs `height`"),
        ("[0, 255]", "[-1, 255]", "pixels cannot have"),
        ("[0, 255]", "[0, 0.5]", "pixels cannot have"),
        ("[0, 255]", "[0, 70000]", "pixels cannot have"),
        ("height = 4", "height = 4\nmissing = true", "cannot be missing"),
        ("height = 4", "height = 4000", ""),
        ("height = 4\nwidth = 3", "height = 1025\nwidth = 1024", "more than 1,048,576 bytes"),
        ("height = 4", "height = 0", "`height`"),
        ('target = "found"', 'target = "scan"', "is an image"),
        ('type = "boolean"', 'type = "boolean"\nheight = 3', "which only an image may have"),
    ],
)
def test_an_entry_that_cannot_be_an_images_is_refused_in_words(old: str, new: str, problem: str) -> None:
    text = SCANS.replace(old, new, 1)
    if not problem:
        assert scans(text)
        return
    with pytest.raises(InvalidInput, match=problem):
        scans(text)


@pytest.mark.parametrize("typical", ["", "typical = [90, 20]\n"])
def test_a_twins_images_are_noise_of_the_dictionarys_making(typical: str) -> None:
    dictionary = scans(SCANS.replace("range = [0", f"{typical}range = [0"))
    twin = mock_twin(dictionary, 2_000, seed=3)
    pixels = np.frombuffer(b"".join(twin["scan"]), np.uint8).reshape(-1, 12).astype(float)
    assert pixels.mean() == pytest.approx(90 if typical else 127.5, abs=2)
    assert pixels.std() == pytest.approx(20 if typical else 73.9, abs=2)
    assert np.abs(np.corrcoef(pixels.T) - np.eye(12)).max() < 0.12  # no pixel tells another
    assert not twin["scan"].duplicated().any()
    text = as_text(twin, dictionary).to_csv(index=False)
    read = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False, na_values=[""])
    pd.testing.assert_frame_equal(conform(read, dictionary), twin)


def test_a_twin_of_large_images_has_few_rows() -> None:
    assert _rows(scans()) == 150
    assert _rows(scans(SCANS.replace("height = 4\nwidth = 3", "height = 1024\nwidth = 1024"))) == 50
