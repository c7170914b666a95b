"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datasites.datasite import Datasite

DEFAULT_HOME = Path.home() / ".wardround" / "datasite"
HomeOption = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="WARDROUND_HOME",
        help="The datasite's private folder.",
        show_default="~/.wardround/datasite",
        file_okay=False,
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]
StudyArgument = Annotated[str, typer.Argument(help="The study's name, or its digest's first 8 or more characters.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="What the researcher will read.")]


@contextmanager
def opened(home: Path) -> Iterator[Datasite]:
    """The datasite in `home`, closed at the end of the block.

    It is imported here and not above: what it needs takes seconds to load, and help and shell completion, which import
    every command, must not wait for it.
    """
    from datasites.datasite import Datasite

    with Datasite.opened(home) as site:
        yield site
