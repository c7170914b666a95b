"""What of a study's log may leave: chosen lines, in plain text, signed, and recorded before they are sent."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from datasites.approval.excerpts import draft, hand_over, log_lines, release
from datasites.state import State
from datasites.wire.excerpt import EXCERPT_CHARACTERS, Excerpt, SignedExcerpt
from datasites.wire.identity import Identity
from policies.errors import InvalidInput

STUDY = "ab" * 32


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(tmp_path / "state.db")
    yield opened
    opened.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "study.log"
    path.write_bytes(b"fit 1\nloss 0.3\n\x1b[31mred\x07 \xff \xe2\x80\xae\xd7\xa9\r\nTraceback:\n  patient 11\n")
    return path


def drafted(log: Path, state: State, first: int, last: int) -> Excerpt:
    return draft(log, state, STUDY, "do@north.org", (first, last), "bo")


def test_control_characters_are_written_out(log: Path, tmp_path: Path) -> None:
    lines = log_lines(log)
    assert lines[:2] == ["fit 1", "loss 0.3"]
    assert lines[2] == "\\x1b[31mred\\x07 \\xff \\u202eש\\r"
    assert lines[3:] == ["Traceback:", "  patient 11"]
    assert log_lines(tmp_path / "none") == []


def test_only_the_chosen_lines_are_in_it(log: Path, state: State) -> None:
    excerpt = drafted(log, state, 1, 2)
    assert (excerpt.text, excerpt.first_line, excerpt.last_line, excerpt.number) == ("fit 1\nloss 0.3", 1, 2, 1)
    assert state.excerpts(STUDY) == []  # a draft is nothing yet


@pytest.mark.parametrize("lines", [(0, 1), (2, 1), (5, 6), (9, 9)])
def test_lines_that_are_not_there(log: Path, state: State, lines: tuple[int, int]) -> None:
    with pytest.raises(InvalidInput, match="The log has 5 lines"):
        drafted(log, state, *lines)


def test_more_than_a_person_reads_is_refused(log: Path, state: State) -> None:
    log.write_text("\x00" * (EXCERPT_CHARACTERS // 4 + 1))  # four characters each, once written out
    with pytest.raises(InvalidInput, match="at most 16,384"):
        drafted(log, state, 1, 1)


def test_it_is_recorded_with_its_entry_and_then_handed_over(log: Path, state: State, tmp_path: Path) -> None:
    identity = Identity.create("do@north.org", tmp_path / "keys.json")
    first = drafted(log, state, 1, 1)
    release(first, identity, state)
    with pytest.raises(sqlite3.IntegrityError):  # the same number twice: nothing is recorded
        release(first.model_copy(update={"text": "other"}), identity, state)
    release(drafted(log, state, 2, 2), identity, state)
    assert [signed.excerpt.number for signed in state.excerpts(STUDY)] == [1, 2]
    entries = [entry for entry in state.audit.entries(STUDY) if entry["kind"] == "excerpt_released"]
    assert [(entry["excerpt"], entry["bytes"]) for entry in entries] == [(1, 5), (2, 8)]
    folder = tmp_path / "review"
    folder.mkdir()
    assert not hand_over(state, STUDY, folder)
    assert hand_over(state, STUDY, folder)
    (folder / first.file).write_bytes(b"{")  # a crash cut it off
    assert not hand_over(state, STUDY, folder)
    read = SignedExcerpt.model_validate_json((folder / "excerpt-000001.json").read_bytes())
    assert read.excerpt == first
    assert read.verified(identity.public)
    assert hand_over(state, "cd" * 32, folder)


@pytest.mark.parametrize("text", ["\x1b[2J", "a\rb", "\u202eabc", "\x00"])
def test_a_hostile_hospitals_text_cannot_reach_through_to_a_terminal(log: Path, state: State, text: str) -> None:
    document = drafted(log, state, 1, 1).model_dump()
    with pytest.raises(ValidationError, match="control characters"):
        Excerpt.model_validate({**document, "text": text})


def test_a_changed_or_foreign_excerpt_has_no_signature(log: Path, state: State, tmp_path: Path) -> None:
    north, south = (Identity.create(f"do@{name}.org", tmp_path / f"{name}.json") for name in ("north", "south"))
    signed = SignedExcerpt.sign(drafted(log, state, 1, 1), north)
    changed = signed.excerpt.model_copy(update={"text": "all patients are well"})
    assert not SignedExcerpt(excerpt=changed, signature=signed.signature).verified(north.public)
    assert not signed.verified(south.public)
