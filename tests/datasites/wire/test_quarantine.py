from __future__ import annotations

import logging
from pathlib import Path

import pytest

from datasites.wire import quarantine
from datasites.wire.quarantine import notes, put_aside

EVE = "eve@evil.org"


def test_a_message_is_kept_as_it_came_beside_the_reason(tmp_path: Path) -> None:
    put_aside(tmp_path, EVE, "box/1", b"\0bytes", "is bad")
    [note] = notes(tmp_path)
    assert (note["from"], note["object"], note["why"]) == (EVE, "box/1", "is bad")
    [kept] = tmp_path.glob("*.message")
    assert kept.read_bytes() == b"\0bytes"


def test_the_same_message_seen_again_is_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            put_aside(tmp_path, EVE, "box/1", b"x", "is bad")
    assert len(notes(tmp_path)) == 1
    assert len(caplog.records) == 1
    put_aside(tmp_path, EVE, "box/2", b"x", "is bad")
    assert len(notes(tmp_path)) == 2


def test_a_flood_does_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "_KEEP", 3)
    for number in range(5):
        put_aside(tmp_path, EVE, f"box/{number}", b"x", "is bad")
    assert len(list(tmp_path.glob("*.message"))) == 3


def test_few_large_messages_do_not_fill_the_disk_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "_KEEP_BYTES", 100)
    for number in range(3):
        put_aside(tmp_path, EVE, f"box/{number}", bytes(60), "is bad")
    assert sum(path.stat().st_size for path in tmp_path.glob("*.message")) == 60
    assert len(notes(tmp_path)) == 3


def test_no_folder_means_no_notes(tmp_path: Path) -> None:
    assert notes(tmp_path / "never") == []
