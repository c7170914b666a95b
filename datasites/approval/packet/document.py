"""A packet as a document: sections of plain blocks, which the HTML page and the terminal each draw in their own way.

Blocks hold text as it came; making it harmless (`visible`, escaping) is the renderers' duty, for all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Tone = Literal["plain", "good", "bad", "quiet"]


@dataclass(frozen=True)
class Place:
    """A line of the study's code."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}"


Cell = str | Place


@dataclass(frozen=True)
class Paragraph:
    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Facts:
    """What is said about what: a table of two columns."""

    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """`tones` has one entry a row, or none; `more`: rows that were left out, which both renderers say."""

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    tones: Sequence[Tone] = ()
    more: int = 0


@dataclass(frozen=True)
class Code:
    """A whole file; `notes` stand under the lines (counted from 1) that they speak of."""

    path: str
    text: str
    notes: Mapping[int, Sequence[str]] = field(default_factory=dict)

    @property
    def lines(self) -> Sequence[str]:
        """Counted as Python and the review count them."""
        return self.text.split("\n")


@dataclass(frozen=True)
class Diff:
    """A file's unified diff."""

    path: str
    lines: Sequence[str]


Block = Paragraph | Facts | Table | Code | Diff


@dataclass(frozen=True)
class Section:
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Document:
    title: str
    sections: Sequence[Section]
