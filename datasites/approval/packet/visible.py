"""Text of a submission, fit to be shown: whatever it holds, a reader sees what is there and nothing that is not.

Escape sequences would write on the owner's terminal; invisible and right-to-left characters would show other code than
what runs. They appear as ⟨U+202E⟩. Both renderers pass everything they show through here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from policies.code.hidden import hidden, is_mark
from policies.code.text import LONGEST_SHOWN

CELL, LINE = 600, LONGEST_SHOWN  # characters shown of a text in a table, and of a line of code
_MARKS = 2  # combining marks shown upon one character; more would cover the text around


def visible(text: str, most: int = CELL) -> str:
    """One line. Tabs stay; line breaks are shown as what they are, and what is too long ends in a note that says so."""
    shown = text[:most]
    if not shown.isascii() or not shown.isprintable():
        shown = "".join(_shown(shown))
    left = len(text) - most
    return f"{shown}⟨and {left:,} more characters⟩" if left > 0 else shown


def visible_lines(lines: Sequence[str], most: int) -> Iterator[str]:
    """The first `most` lines of a text; a last one says how many are left out."""
    yield from (visible(line, LINE) for line in lines[:most])
    if len(lines) > most:
        yield f"⟨and {len(lines) - most:,} more lines, which are not shown here⟩"


def _shown(text: str) -> Iterator[str]:
    marks = 0
    for character in text:
        marks = marks + 1 if is_mark(character) else 0
        if character == "\n" or marks > _MARKS or hidden(character):
            yield f"⟨U+{ord(character):04X}⟩"
        else:
            yield character
