"""`wardround metrics` and `wardround drift`: what a hospital's own monitoring reads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from datasites.cli.options import DEFAULT_HOME, HomeOption
from datasites.home import DatasiteHome
from datasites.settings import DatasiteSettings
from policies.errors import InvalidInput


def metrics(
    output: Annotated[
        Path | None,
        typer.Option(help="Write them to this file, all at once: a *.prom file of node-exporter's.", dir_okay=False),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Print the datasite's numbers for Prometheus, whether or not its agent runs."""
    from datasites.monitoring.collector import exposition
    from datasites.wire.files import write_atomically

    place = DatasiteHome(home.expanduser().resolve())
    text = exposition(place, DatasiteSettings.load(place.path))
    if output is None:
        sys.stdout.write(text.decode())
        return
    try:
        write_atomically(output, text)
        output.chmod(0o644)  # node-exporter is another user; it says no more than sums
    except OSError as error:
        raise InvalidInput(f"Cannot write {output}: {error.strerror}.", "Name another file.") from None
