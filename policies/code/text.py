"""Text that shows a reader something else than what a computer would read, or nothing at all."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from itertools import groupby

from policies.code.finding import Finding, printable
from policies.code.hidden import hidden, is_mark

LONGEST_LINE = 200
LONGEST_SHOWN = 1_000  # of a line of any file; a packet shows no more
LONGEST_BLOB = 160
MARKS = 3  # no script needs so many upon one letter
_BLOB = re.compile(rf"[A-Za-z0-9+/=_\\-]{{{LONGEST_BLOB},}}")
_CODING = re.compile(r"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")  # as PEP 263 has it
_PLAIN_CODINGS = ("utf-8", "utf8", "ascii", "us-ascii")


def text_findings(path: str, text: str) -> Iterator[Finding]:
    """Of any file of a study."""
    for number, line in enumerate(text.split("\n"), 1):
        for what in _hidden(line):
            yield Finding(path, number, "unreadable", what)
        if len(line) > LONGEST_SHOWN:
            yield Finding(path, number, "unreadable", f"a line of {len(line):,} characters")
        if _BLOB.search(line):
            yield Finding(path, number, "unreadable", "a long run of letters and digits, as encoded data has")


def source_findings(path: str, text: str) -> Iterator[Finding]:
    """Of a Python file, besides those of any file."""
    for number, line in enumerate(text.split("\n"), 1):
        if LONGEST_LINE < len(line) <= LONGEST_SHOWN:
            yield Finding(path, number, "unreadable", f"a line of {len(line):,} characters")
        coding = _CODING.match(line) if number <= 2 else None
        if coding and coding[1].lower() not in _PLAIN_CODINGS:
            yield Finding(path, number, "unreadable", f"the encoding {printable(coding[1])}")
    yield from _foreign_names(path, text)


def _hidden(line: str) -> Iterator[str]:
    """Invisible characters, those that turn the writing direction, and heaps of marks that cover what is near."""
    found = (hidden(character) for character in sorted(set(line)))
    yield from dict.fromkeys(what for what in found if what)
    runs = ([*run] for is_run, run in groupby(line, is_mark) if is_run)
    if not line.isascii() and any(len(run) >= MARKS for run in runs):
        yield "marks heaped onto a character, which can cover others"


def _foreign_names(path: str, text: str) -> Iterator[Finding]:
    """Names with letters beyond ASCII: many look like others, and Python takes some for others (NFKC)."""
    if text.isascii():
        return
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type in (tokenize.NAME, tokenize.ERRORTOKEN) and not token.string.isascii():
                yield Finding(path, token.start[0], "unreadable", f"the name {printable(token.string)}")
    except (tokenize.TokenError, SyntaxError):
        return  # it does not parse, which is a finding of its own
