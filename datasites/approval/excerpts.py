"""A study's log stays at the hospital; the owner may show chosen lines of it to the study's researcher.

As with decisions, an excerpt counts once it is in the state database, and the agent writes the researcher's copy at its
next look.
"""

from __future__ import annotations

from pathlib import Path

from datasites.state import State, now
from datasites.wire.excerpt import EXCERPT_CHARACTERS, Excerpt, SignedExcerpt
from datasites.wire.identity import Identity
from policies.errors import InvalidInput


def log_lines(log: Path) -> list[str]:
    """The lines of a study's log, of which nothing can reach through to a terminal."""
    data = log.read_bytes() if log.exists() else b""
    lines = data.decode("utf-8", "backslashreplace").split("\n")
    return [_plain(line) for line in (lines[:-1] if lines[-1] == "" else lines)]


def draft(log: Path, state: State, study: str, hospital: str, lines: tuple[int, int], by: str) -> Excerpt:
    """What would leave: the lines from the first to the last, counted from 1. Nothing is recorded yet.

    Raises InvalidInput when there are no such lines, or too much in them.
    """
    there, (first, last) = log_lines(log), lines
    if not 1 <= first <= last <= len(there):
        raise InvalidInput(f"The log has {len(there):,} lines.", "Give lines of it as FIRST-LAST, such as 10-20.")
    text = "\n".join(there[first - 1 : last])
    if len(text) > EXCERPT_CHARACTERS:
        raise InvalidInput(
            f"These lines have {len(text):,} characters; an excerpt has at most {EXCERPT_CHARACTERS:,}.",
            "Choose fewer lines.",
        )
    return Excerpt(
        study=study,
        hospital=hospital,
        number=len(state.excerpts(study)) + 1,
        first_line=first,
        last_line=last,
        text=text,
        released_by=by,
        released_at=now(),
    )


def release(excerpt: Excerpt, identity: Identity, state: State) -> None:
    """Signs an excerpt, and records it to be sent. Raises sqlite3.IntegrityError when another took its number."""
    state.record_excerpt(SignedExcerpt.sign(excerpt, identity))


def hand_over(state: State, study: str, folder: Path) -> bool:
    """Writes the researcher's copies of a study's excerpts; says whether all were there. For the agent alone."""
    there = True
    for signed in state.excerpts(study):
        target, document = folder / signed.excerpt.file, signed.model_dump_json(indent=1).encode()
        if not target.exists() or target.read_bytes() != document:
            target.write_bytes(document)
            there = False
    return there


def _plain(line: str) -> str:
    return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in line)
