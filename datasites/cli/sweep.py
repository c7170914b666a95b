"""`wardround datasite sweep`: what studies that are over left in the store."""

from __future__ import annotations

import json as js
from typing import Annotated

import typer

from datasites.cli.options import DEFAULT_HOME, HomeOption, JsonOption


def sweep(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Remove this hospital's answers of studies that are over from the store, and parts of uploads that never ended.

    The agent does so by itself, now and then. How long they stay is in the settings: keep_days and unfinished_days. The
    audit log and the reports say as much as before.
    """
    from rich.console import Console
    from rich.table import Table

    from datasites.agent.sweep import Sweep, Terms
    from datasites.cli.options import opened
    from datasites.wire.store import Store

    with opened(home) as site:
        settings = site.settings
        terms = Terms.of_days(settings.keep_days, settings.unfinished_days)
        work = Sweep(Store(settings.store, settings.store_options), site.state, settings.email, terms)
        studies = [signed.decision.study for signed in site.state.current_decisions()]
        found = {study: work.due(study) if dry_run else work.sweep(study) for study in studies}
    rows = [(study, "it is over" if one.over else "unfinished", len(one.names)) for study, one in found.items()]
    gone = [row for row in rows if row[2]]
    if json:
        typer.echo(js.dumps([{"study": study, "why": why, "objects": objects} for study, why, objects in gone]))
        return
    if not gone:
        typer.echo("There is nothing to remove.")
        return
    table = Table("study", "why", "objects", title="To be removed" if dry_run else "Removed from the store")
    for study, why, objects in gone:
        table.add_row(study[:12], why, f"{objects:,}")
    Console(highlight=False).print(table)
