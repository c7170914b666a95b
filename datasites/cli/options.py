"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_HOME = Path.home() / ".wardround" / "datasite"
HomeOption = Annotated[
    Path,
    typer.Option("--home", envvar="WARDROUND_HOME", help="The datasite's private folder.", file_okay=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]
StudyArgument = Annotated[str, typer.Argument(help="The study's name, or its digest's first 8 or more characters.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="What the researcher will read.")]
