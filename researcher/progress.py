"""Progress on a terminal or in a notebook; silent where nobody looks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


@contextmanager
def bar(what: str, total: int, shown: bool | None = None) -> Iterator[Callable[[int, str], None]]:
    """Yields `advance_to(done, note)`. `shown` defaults to whether a person is looking."""
    console = Console(stderr=True)
    looking = (console.is_terminal or console.is_jupyter or "ipykernel" in sys.modules) if shown is None else shown
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=not looking) as progress:
        task = progress.add_task(what, total=total, note="")

        def advance_to(done: int, note: str = "") -> None:
            progress.update(task, completed=done, note=note)

        yield advance_to
