from __future__ import annotations

from pathlib import Path

import pytest

from datasites.release import held
from datasites.release.held import HeldOutput, held_output, held_outputs, hold
from datasites.wire.reasons import Reason
from policies.errors import InvalidInput

STUDY = "ab" * 32


def keep(folder: Path, number: int = 1, frame: bytes = b"rows", at: str = "2026-01-01T00:00:00+00:00") -> HeldOutput:
    return hold(folder, STUDY, number, "fit", frame, Reason.CONTRACT, ("array 'x' is not in the contract",), at)


def test_it_is_kept_privately_and_told_in_words(tmp_path: Path) -> None:
    kept = keep(tmp_path / "held")
    assert held_outputs(tmp_path / "held") == [kept]
    assert held_output(tmp_path / "held", kept.name) == kept
    assert (tmp_path / "held" / f"{kept.name}.frame").read_bytes() == b"rows"
    assert kept.why == ("array 'x' is not in the contract",)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "held").iterdir()} == {0o600}
    assert (tmp_path / "held").stat().st_mode & 0o777 == 0o700
    with pytest.raises(InvalidInput, match="nothing"):
        held_output(tmp_path / "held", "nothing")


def test_the_same_output_is_held_once_and_the_oldest_comes_first(tmp_path: Path) -> None:
    later = keep(tmp_path, 2, at="2026-01-03T00:00:00+00:00")
    first = keep(tmp_path, 1, at="2026-01-02T00:00:00+00:00")
    assert keep(tmp_path, 1, at="2026-01-09T00:00:00+00:00").name == first.name
    assert held_outputs(tmp_path) == [first, later]


def test_a_crash_before_the_note_leaves_nothing_half_held(tmp_path: Path) -> None:
    kept = keep(tmp_path)
    (tmp_path / f"{kept.name}.json").unlink()
    assert held_outputs(tmp_path) == []
    assert held_outputs(tmp_path / "not there") == []
    keep(tmp_path)
    assert [one.name for one in held_outputs(tmp_path)] == [kept.name]


def test_a_flood_fills_neither_the_disk_nor_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "MOST_BYTES", 25)
    monkeypatch.setattr(held, "MOST_NOTES", 4)
    for number in range(9):
        keep(tmp_path, number, b"x" * 10)
    assert [one.kept for one in held_outputs(tmp_path)].count(True) == 2
    assert len(held_outputs(tmp_path)) == 4
    assert sum(path.stat().st_size for path in tmp_path.glob("*.frame")) == 20
