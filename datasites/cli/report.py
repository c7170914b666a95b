"""`wardround report`: a study's record, or a whole datasite's, for those who must answer for it."""

from __future__ import annotations

import json as json_format
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from datasites.cli.exits import Exit
from datasites.cli.options import DEFAULT_HOME, HomeOption, JsonOption, opened
from policies.errors import InvalidInput


def report(
    study: Annotated[
        str, typer.Argument(help="A study's name, or its digest's first 8 or more characters; all studies without it.")
    ] = "",
    out: Annotated[Path, typer.Option(help="A new folder for the report.", file_okay=False)] = Path("report"),
    since: Annotated[str, typer.Option(help="Of all studies: what happened from this date on, as 2027-01-31.")] = "",
    before: Annotated[str, typer.Option(help="Of all studies: what happened before this date.")] = "",
    statements: Annotated[
        Path | None, typer.Option(help="What people state (TOML), beside the home's statements.toml.", dir_okay=False)
    ] = None,
    log: Annotated[bool, typer.Option(help="Add the whole audit log, which names other studies and people.")] = True,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Write the record of a study as a readable page, an assessment form and a Five Safes RO-Crate.

    Without a study: the datasite's record of processing. Exits with 1 when the record does not hold: something was
    changed, lost or rolled back; the report says what at its top. It holds no patient's data.
    """
    from datasites.approval.packet.visible import visible
    from datasites.report.datasite import Period
    from datasites.report.folder import report_datasite, report_study

    if study and (since or before):
        raise InvalidInput("A study's record has no period.", "Leave out --since and --before, or the study.")
    period = Period(_moment(since), _moment(before))
    folder = out.expanduser().resolve()
    with opened(home) as site:
        if study:
            written = report_study(site, study, folder, statements, log)
        else:
            written = report_datasite(site, folder, period, statements, log)
    if json:
        checks = [{"what": one.what, "found": one.found, "good": one.good} for one in written.findings]
        content = {"folder": str(folder), "files": written.files, "holds": not written.wrong, "checks": checks}
        typer.echo(json_format.dumps(content, indent=1))
    else:
        console = Console(highlight=False, soft_wrap=True)
        console.print(f"Written to {escape(str(folder))}: {', '.join(escape(name) for name in written.files)}.")
        for one in written.wrong:
            console.print(f"[bold red]DOES NOT HOLD[/] {escape(visible(one.what))}: {escape(visible(one.found))}")
        if not written.wrong:
            console.print(f"All {len(written.findings)} checks held. Open report.html.")
    if written.wrong:
        raise typer.Exit(Exit.UNUSABLE)


def _moment(text: str) -> datetime | None:
    """A date's first moment, in UTC unless it says otherwise; None for no text."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidInput(f"{text!r} is not a date.", "Write it as 2027-01-31.") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
