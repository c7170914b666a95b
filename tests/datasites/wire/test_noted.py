"""A researcher's tree as `kill -9` in the middle of fetching leaves it."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from syft.sync.events.file_change_event import FileChangeEvent, FileChangeEventsMessage, FileChangeEventsMessageFileName

from datasites.wire.home import Home
from datasites.wire.noted import finish_interrupted_fetch

NORTH = "do@north.org"
DECISION = Path("app_data/job/review/ada@uni.org/v1/study/decision.json")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "syftbox").mkdir()
    (tmp_path / "syftbox-event-messages").mkdir()
    return Home(tmp_path)


def note(home: Home, path: Path, content: str, at: float) -> Path:
    """Notes a message as Syft does before it writes its files."""
    event = FileChangeEvent(
        id=uuid4(),
        path_in_datasite=path,
        datasite_email=NORTH,
        content=content,
        old_hash=None,
        new_hash="hash",
        submitted_timestamp=at,
        timestamp=at,
        is_deleted=False,
    )
    message = FileChangeEventsMessage(events=[event], message_filepath=FileChangeEventsMessageFileName(timestamp=at))
    file = home.path / "syftbox-event-messages" / message.message_filepath.as_string()
    file.write_text(message.model_dump_json())
    return file


def test_what_was_noted_is_written_and_the_newest_counts(home: Home) -> None:
    note(home, DECISION, "new", 2.0)
    note(home, DECISION, "old", 1.0)
    finish_interrupted_fetch(home)
    assert (home.syftbox / NORTH / DECISION).read_text() == "new"


def test_nothing_is_written_that_a_hospital_may_not_write(home: Home) -> None:
    note(home, Path("public/syft_datasets/stays/card.json"), "forged", 1.0)
    finish_interrupted_fetch(home)
    assert list(home.syftbox.iterdir()) == []


def test_a_note_that_was_cut_off_is_dropped_so_that_it_is_fetched_again(home: Home) -> None:
    whole = note(home, DECISION, "old", 1.0)
    half = note(home, DECISION, "new", 2.0)
    half.write_text(half.read_text()[:40])
    finish_interrupted_fetch(home)
    assert whole.exists()
    assert not half.exists()
    assert (home.syftbox / NORTH / DECISION).read_text() == "old"
