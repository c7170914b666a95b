"""What a review of code may find."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["import", "file", "process", "network", "evaluation", "monkeypatch", "reflection", "unreadable"]
Allowable = Literal["file", "process", "network", "evaluation", "monkeypatch", "reflection"]

MEANING: dict[Kind, str] = {
    "import": "uses a package",
    "file": "reads or writes files",
    "process": "starts, stops or steers processes or threads",
    "network": "uses a network",
    "evaluation": "runs code that is made while it runs, so that no reader can know it",
    "monkeypatch": "changes how other code behaves",
    "reflection": "reaches into Python's inner parts or other code's private ones",
    "unreadable": "does not show a reader what a computer would read",
}


@dataclass(frozen=True, order=True)
class Finding:
    """`what` is made of names from the code, shortened, in printable ASCII; for an import, the module's full name."""

    path: str
    line: int
    kind: Kind
    what: str

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}: {self.what} ({MEANING[self.kind]})"


def printable(text: str, longest: int = 80) -> str:
    """`text` fit to be shown: a study must not be able to write on the reader's terminal."""
    plain = text.encode("ascii", "backslashreplace").decode()
    plain = "".join(character if character.isprintable() else " " for character in plain)
    return plain if len(plain) <= longest else f"{plain[: longest - 3]}..."
