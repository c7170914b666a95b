"""`make gallery`: what people see. The review page, a notebook's buttons, all notebooks, the data owner's terminal.

    python -m tests.gallery [FOLDER] [--only review|buttons|notebooks|terminal]

Written to `gallery/`, which git ignores. Ends with a table and one line `RESULT {json}`; exits with 1 when something is
missing, failed, or is wider than its window.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.gallery.buttons import buttons
from tests.gallery.notebooks import notebooks
from tests.gallery.review import review
from tests.gallery.shown import Shown
from tests.gallery.terminal import terminal

PARTS: dict[str, Callable[[Path], list[Shown]]] = {
    "review": review,
    "buttons": buttons,
    "notebooks": notebooks,
    "terminal": terminal,
}


def main(folder: Path, only: str | None) -> int:
    rows = []
    for name, make in PARTS.items():
        if only in (None, name):
            (place := folder / name).mkdir(parents=True, exist_ok=True)
            rows += make(place)
    table = Table("part", "what", "", "problem", title=f"The gallery, in {folder}")
    for row in rows:
        table.add_row(*(escape(cell) for cell in (row.part, row.name, row.told)), f"[bold red]{escape(row.problem)}[/]")
    Console(highlight=False, width=130).print(table)
    problems = {row.name: row.problem for row in rows if row.problem}
    files = Counter(path.suffix.removeprefix(".") for path in folder.rglob("*.*"))
    print("RESULT", json.dumps({"shown": Counter(row.part for row in rows), "files": files, "problems": problems}))
    return 1 if problems or not rows else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.gallery", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("gallery"))
    parser.add_argument("--only", choices=PARTS)
    options = parser.parse_args()
    sys.exit(main(options.folder, options.only))
