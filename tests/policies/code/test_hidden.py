from __future__ import annotations

import pytest

from policies.code import review
from policies.code.hidden import hidden, is_mark

UNSEEN = "\x00\x1b\x7f\x9b\r\x0b\x85\u200b\u200d\u2060\ufeff\u00ad\u2028\ue000"
BLANK = "\u3164\u2800\u115f\uffa0\u034f\ufe0f\U000e0041\U000e0100\u00a0\u2003\u3000"
TURNING = "\u202a\u202e\u2066\u2069\u200f\u061cאبا٣"


@pytest.mark.parametrize("character", [*UNSEEN, *BLANK, *TURNING])
def test_what_does_not_show_itself_is_named_by_its_number(character: str) -> None:
    assert f"U+{ord(character):04X}" in (hidden(character) or "")
    (finding,) = (f for f in review({"study.py": f"x = '{character}'\n"}) if "U+" in f.what)
    assert (finding.kind, finding.line) == ("unreadable", 1)


@pytest.mark.parametrize("character", [*" \t\nabc~äßñčﬁΩЖ漢日本한€→≤×·“”—🩺\u0301"])
def test_what_shows_itself_is_no_finding(character: str) -> None:
    assert hidden(character) is None
    assert not [f for f in review({"notes.txt": f"a{character}b"}) if f.kind == "unreadable"]


def test_marks_heaped_onto_a_letter_are_a_finding() -> None:
    assert is_mark("\u0335")
    assert not review({"notes.txt": "Vie\u0302\u0323t"})
    (finding,) = review({"notes.txt": "a" + "\u0335" * 3})
    assert "heaped" in finding.what


def test_more_than_a_packet_shows_is_a_finding() -> None:
    assert "1,001 characters" in review({"notes.txt": "x y " * 250 + "x"})[0].what
    assert "20,001 lines" in review({"notes.txt": "\n" * 20_000})[0].what
