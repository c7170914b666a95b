from __future__ import annotations

from pathlib import Path

import pytest

from datasites.catalog.registry import RegisteredTable, Registry
from datasites.catalog.tables import TableSource
from datasites.wire.dictionary import Dictionary
from policies.errors import InvalidInput
from tests.support.federation import DICTIONARY, stays


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    stays(1, 30).to_csv(tmp_path / "stays.csv", index=False)
    registry = Registry(tmp_path / "datasets")
    registry.add(RegisteredTable(TableSource(path=tmp_path / "stays.csv"), Dictionary.load(DICTIONARY)))
    return registry


def test_patients_are_counted_not_rows_and_without_reading_the_table_again(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "stays.csv").unlink()
    assert registry.patients("stays") == 15
    assert registry.names() == ["stays"]
    assert (registry.folder / "stays.patients").stat().st_mode & 0o077 == 0


def test_they_are_counted_anew_when_the_table_is_read(registry: Registry, tmp_path: Path) -> None:
    stays(1, 8).to_csv(tmp_path / "stays.csv", index=False)
    assert registry.patients("stays") == 15
    assert len(registry.read("stays")) == 8
    assert registry.patients("stays") == 4


def test_what_is_not_known_is_not_guessed(registry: Registry) -> None:
    assert registry.patients("births") is None
    with pytest.raises(InvalidInput, match="No table 'births'"):
        registry.read("births")
    note = registry.folder / "stays.patients"
    for damage in (b"", b"{}", b"[1]", b'{"entry": "x", "patients": 5}'):
        note.write_bytes(damage)
        assert registry.patients("stays") is None


def test_a_number_is_that_of_the_table_as_it_is_registered(registry: Registry, tmp_path: Path) -> None:
    """A crash between the two files must not leave one table with another's number."""
    old = (registry.folder / "stays.patients").read_bytes()
    stays(2, 4).to_csv(tmp_path / "other.csv", index=False)
    registry.add(RegisteredTable(TableSource(path=tmp_path / "other.csv"), Dictionary.load(DICTIONARY)))
    assert registry.patients("stays") == 2
    (registry.folder / "stays.patients").write_bytes(old)
    assert registry.patients("stays") is None
