"""What stays at the hospital: results that the gate held back, and studies' logs; and what of a log may leave."""

from __future__ import annotations

import json as json_format
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from datasites.cli.options import DEFAULT_HOME, HomeOption, JsonOption, StudyArgument, opened
from datasites.wire.reasons import Reason
from policies.errors import InvalidInput

if TYPE_CHECKING:
    from datasites.release.held import HeldOutput


def held(
    name: Annotated[str, typer.Argument(help="Show the details of this one.")] = "",
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """List the results that the release gate held back, or show why it held one."""
    from datasites.release.held import held_output, held_outputs

    with opened(home) as site:
        folder = site.home.held
        found = [held_output(folder, name)] if name else held_outputs(folder)
    if json:
        typer.echo(json_format.dumps([asdict(one) for one in found], indent=1))
    elif name:
        _detail(found[0], str(folder / f"{name}.frame"))
    else:
        _list(found)


def log(study: StudyArgument, home: HomeOption = DEFAULT_HOME, json: JsonOption = False) -> None:
    """Show what a study's code printed here, with line numbers. It may hold patients' data and stays here."""
    with opened(home) as site:
        lines = site.log(study)
    if json:
        typer.echo(json_format.dumps(lines.to_dict("records"), indent=1))
        return
    for number, text in lines.itertuples(index=False):
        typer.echo(f"{number:>6}  {text}")
    if lines.empty:
        typer.echo("The study has printed nothing here.")


def release_log(
    study: StudyArgument,
    lines: Annotated[str, typer.Option(help="From the first to the last line, such as 10-20.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Send chosen lines of a study's log to its researcher, after showing exactly what would leave."""
    given = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", lines.strip())
    if not given:
        raise InvalidInput(f"{lines!r} are no lines.", "Write FIRST-LAST, such as 10-20.")
    with opened(home) as site:
        excerpt = site.draft_excerpt(study, int(given[1]), int(given[2] or given[1]))
        typer.echo(f"This would leave, to the researcher of study {excerpt.study[:12]}:\n{excerpt.text}")
        if not yes:
            typer.confirm("Does it hold nothing of any patient, and shall it be sent?", abort=True)
        site.release_excerpt(excerpt)
    typer.echo(f"Excerpt {excerpt.number} is signed; the agent sends it.")


def _list(found: list[HeldOutput]) -> None:
    console = Console(highlight=False)
    if not found:
        console.print("No result was held back.")
        return
    table = Table("name", "at", "study", "round", "task", "why", "bytes")
    for one in found:
        why = "; ".join(one.why[:3]) + (f" and {len(one.why) - 3} more" if len(one.why) > 3 else "")
        cells = (one.name, one.at, one.study[:12], str(one.round), one.task, why or one.reason, f"{one.bytes:,}")
        table.add_row(*(escape(cell) for cell in cells))
    console.print(table)
    console.print("Nothing of them has left. See one with: wardround datasite held NAME")


def _detail(one: HeldOutput, file: str) -> None:
    console = Console(highlight=False)
    console.print(f"Round {one.round} of study {one.study}, {one.task}, at {one.at}: {one.bytes:,} bytes.")
    for why in one.why:
        console.print(f"- {escape(why)}")
    console.print(f"The researcher was told: {Reason(one.reason).text}")
    console.print(f"The result itself lies in {escape(file)}" if one.kept else "There was no room to keep the result.")
