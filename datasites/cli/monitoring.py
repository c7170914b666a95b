"""`wardround metrics` and `wardround drift`: what a hospital's own monitoring reads."""

from __future__ import annotations

import json as json_format
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from datasites.cli.options import DEFAULT_HOME, HomeOption, JsonOption, opened
from policies.errors import InvalidInput

if TYPE_CHECKING:
    from datasites.monitoring.report import DriftReport


def metrics(
    output: Annotated[
        Path | None,
        typer.Option(help="Write them to this file, all at once: a *.prom file of node-exporter's.", dir_okay=False),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Print the datasite's numbers for Prometheus, whether or not its agent runs."""
    from datasites.home import DatasiteHome
    from datasites.monitoring.collector import exposition
    from datasites.settings import DatasiteSettings
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


def drift(
    table: Annotated[str, typer.Argument(help="The published table's name.")],
    newer: Annotated[
        Path | None, typer.Option(help="The newer table: .csv, .csv.gz or .parquet.", dir_okay=False)
    ] = None,
    sql_url: Annotated[str | None, typer.Option(help="Or a database, as for publish.")] = None,
    query: Annotated[str | None, typer.Option(help="The SELECT that gives the newer table.")] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Compare it with this table, and not with the published one.", dir_okay=False)
    ] = None,
    psi: Annotated[float, typer.Option(help="Tell of a column from this population stability index on.")] = 0.2,
    ks: Annotated[float, typer.Option(help="Or from this Kolmogorov-Smirnov statistic on.")] = 0.1,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Compare a newer table with the published one: would a model trained on it still know these patients?

    Both are read here, and nothing leaves but the names of columns that drifted, to your own metrics.
    """
    from datasites.catalog.tables import TableSource
    from datasites.monitoring.report import check

    paths = [path.expanduser().resolve() if path else None for path in (newer, reference)]
    source = TableSource(path=paths[0], sql_url=sql_url, query=query)
    older = TableSource(path=paths[1]) if paths[1] else None
    with opened(home) as site:
        report = check(site.home, site.state.audit, table, source, older, psi, ks)
    if json:
        typer.echo(json_format.dumps(asdict(report) | {"at": report.at.isoformat()}, indent=1))
    else:
        _show(report)


def _show(report: DriftReport) -> None:
    console = Console(highlight=False)
    shown = Table("column", "drift", "PSI", "by chance", "KS", "what changed most", title=escape(report.table))
    for one in report.columns:
        mark = {"drifted": "[bold red]yes[/]", "steady": "no", "withheld": "[yellow]too few patients[/]"}[one.state]
        numbers = ["" if number is None else f"{number:.2f}" for number in (one.psi, one.by_chance, one.ks)]
        moved = one.moved
        change = f"{moved.cell}: {moved.before:.0%} to {moved.after:.0%} of rows" if moved else ""
        shown.add_row(escape(one.column), mark, *numbers, escape(change))
    console.print(shown)
    console.print(f"{len(report.drifted)} of {len(report.columns)} columns drifted. It is in the audit log.")
