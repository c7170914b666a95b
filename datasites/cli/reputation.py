"""What researchers say of this hospital's part in their studies, and answering it."""

from __future__ import annotations

import json as json_format
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from datasites.cli.options import DEFAULT_HOME, HomeOption, JsonOption, opened

if TYPE_CHECKING:
    from datasites.audit.reputation import Standing


def reputation(home: HomeOption = DEFAULT_HOME, json: JsonOption = False) -> None:
    """Show what researchers say of this hospital's part in their studies, and whether they keep to it."""
    with opened(home) as site:
        found = site.reputation.look()
    if json:
        typer.echo(json_format.dumps([_plain(one) for one in found], indent=1))
        return
    console = Console(highlight=False)
    if not any(one.remarks or one.problem for one in found):
        console.print("No researcher has said anything.")
    for one in found:
        _show(one, console)


def contest(
    researcher: Annotated[str, typer.Argument(help="The researcher's address.")],
    line: Annotated[int, typer.Argument(min=1, help="The number of the line.")],
    note: Annotated[str, typer.Argument(help="What the researcher will read beside it.")],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Contest a line that a researcher has written about this hospital. The answer is signed and stays beside it."""
    with opened(home) as site:
        site.reputation.contest(researcher, line, note)
    typer.echo(f"Line {line} is contested. The answer is signed, and {researcher} will see it.")


def _plain(one: Standing) -> dict[str, object]:
    lines = [
        {**remark.model_dump(mode="json"), "contested": answer.note if (answer := one.contest_of(remark)) else None}
        for remark in one.remarks
    ]
    return {"researcher": one.researcher, "problem": one.problem, "lines": lines}


def _show(one: Standing, console: Console) -> None:
    from datasites.approval.packet.visible import visible

    if one.remarks:
        table = Table("line", "at", "study", "found", "rounds", "reason", "contested", title=escape(one.researcher))
        for remark in one.remarks:
            answer = one.contest_of(remark)
            cells = (str(remark.number), f"{remark.at:%Y-%m-%d}", remark.name, remark.kind, str(len(remark.rounds)))
            table.add_row(*cells, escape(visible(remark.reason)), escape(visible(answer.note)) if answer else "")
        console.print(table)
        console.print("Answer a line with: wardround datasite contest RESEARCHER LINE NOTE")
    if one.problem:
        console.print(f"{escape(one.researcher)}: {escape(one.problem)}", style="bold red")
