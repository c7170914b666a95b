"""The data owner's path in the terminal, as the tutorial has it, typed for real: to play, as a page, as a picture."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.gallery.shown import Shown
from tests.support.terminal import COLUMNS, Typed
from tests.support.tutorials import walk_as_owner

TITLE = "Ten minutes as a data owner"
STEPS = ("datasite init", "datasite publish", "datasite requests", "datasite show", "datasite approve", "audit verify")


def terminal(folder: Path) -> list[Shown]:
    """`owner.cast` for asciinema's players, `owner.html`, and `owner.svg`."""
    with tempfile.TemporaryDirectory() as temporary:
        walk = walk_as_owner(Path(temporary))
    text = walk.recording.text.replace("\r\n", "\n")
    (folder / "owner.cast").write_text(walk.recording.cast(TITLE))
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text))
    console.save_html(str(folder / "owner.html"), clear=False, inline_styles=True)
    console.save_svg(str(folder / "owner.svg"), title=TITLE)
    return [_row(step, walk.typed) for step in STEPS]


def _row(step: str, typed: list[Typed]) -> Shown:
    found = [one for one in typed if one.command.startswith(f"wardround {step}")]
    if not found:
        return Shown("terminal", step, "", "was not typed")
    wrong = [one for one in found if one.status]
    told = f"{sum(len(one.shown.splitlines()) for one in found)} lines"
    return Shown("terminal", step, told, f"exit code {wrong[0].status}" if wrong else "")
