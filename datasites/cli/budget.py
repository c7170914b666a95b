"""`wardround budget`: what studies have spent of a table's privacy, what is left, and what a plan would cost."""

from __future__ import annotations

import dataclasses
import json as json_format
import math
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from datasites.cli.options import DEFAULT_HOME, HomeOption, JsonOption, YesOption, opened
from policies.errors import InvalidInput

if TYPE_CHECKING:
    from datasites.datasite import Datasite
    from datasites.ledger.view import Spend, TableBudget

app = typer.Typer(help="The privacy budget: spent, left, and what a plan would cost.", no_args_is_help=True)
TableArgument = Annotated[str, typer.Argument(help="The table's name; not needed where there is only one.")]


@app.command()
def show(table: TableArgument = "", home: HomeOption = DEFAULT_HOME, json: JsonOption = False) -> None:
    """Show what is spent and left: of the table, for each researcher and for each study."""
    with opened(home) as site:
        budget = site.budget(_table(site, table))
        closed = site.state.ledger.closed(budget.table)
    everybody = (budget.total, *budget.researchers, *budget.studies)
    if json:
        delta = budget.limits.delta if budget.limits else None
        spends = [{**dataclasses.asdict(one), "left": one.left} for one in everybody]
        _json({"table": budget.table, "closed": closed, "delta": delta, "spends": spends})
    elif budget.limits is None:
        Console(highlight=False).print(
            f"The policy of {escape(budget.table)} has no privacy budget: see its \\[budget]."
        )
    else:
        _show(budget, everybody, budget.limits.delta)
        if closed:
            Console(highlight=False).print("[bold red]Closed[/]: a backup was put back. See: wardround budget reopen")


@app.command()
def reopen(table: TableArgument = "", yes: YesOption = False, home: HomeOption = DEFAULT_HOME) -> None:
    """Let a budget be used again that a restored backup has closed. First lower its policy by what was spent since.

    What was spent between the backup and its loss is not known here: an export of the audit log, a report or a printed
    `budget show` of that time may tell.
    """
    with opened(home) as site:
        name = _table(site, table)
        if not yes:
            typer.confirm(f"Do you answer for what the policy of {name} says is left?", abort=True)
        site.reopen_budget(name)
    typer.echo(f"The budget of {name} can be used again. That is on record.")


@app.command()
def history(table: TableArgument = "", home: HomeOption = DEFAULT_HOME, json: JsonOption = False) -> None:
    """Show every charge, oldest first."""
    with opened(home) as site:
        found = site.budget(_table(site, table)).history
    if json:
        _json(found.to_dict("records"))
        return
    shown = Table("at", "study", "researcher", "round", "state", "what was released, and with how much noise")
    for at, study, *rest in found.astype(str).itertuples(index=False):
        shown.add_row(at, *(escape(cell) for cell in (study[:12], *rest)))
    Console(highlight=False).print(shown)


@app.command(name="what-if")
def what_if(
    table: TableArgument = "",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of the study.")] = 10,
    steps: Annotated[int, typer.Option(min=1, help="Steps of training in each round.")] = 20,
    rate: Annotated[float, typer.Option(help="Chance of a patient to be in a step's sample.")] = 0.05,
    noise: Annotated[float | None, typer.Option(help="Noise multiplier; tells the epsilon.")] = None,
    epsilon: Annotated[float | None, typer.Option(help="A target; tells the noise multiplier.")] = None,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Tell what a plan would cost, or which noise it needs. Nothing is charged."""
    with opened(home) as site:
        budget = site.budget(_table(site, table))
    answer = budget.what_if(rounds, steps, rate, noise_multiplier=noise, epsilon=epsilon)
    if json:
        _json(dataclasses.asdict(answer))
    else:
        Console(highlight=False).print(str(answer), markup=False)


def _table(site: Datasite, name: str) -> str:
    from datasites.catalog.registry import Registry

    names = Registry(site.home.datasets).names()
    if name in names:
        return name
    if name:
        raise InvalidInput(f"There is no table {name!r}.", f"There are: {', '.join(names) or 'none'}.")
    if len(names) != 1:
        raise InvalidInput("Which table is not clear.", f"Name one of: {', '.join(names) or 'none is published'}.")
    return names[0]


def _json(content: Any) -> None:
    typer.echo(json_format.dumps(_finite(content), indent=1, allow_nan=False))


def _finite(content: Any) -> Any:
    """JSON has no infinity; null stands for it."""
    if isinstance(content, dict):
        return {name: _finite(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _show(budget: TableBudget, everybody: tuple[Spend, ...], delta: float) -> None:
    from datasites.ledger.view import COUNTED, named

    console = Console(highlight=False)
    title = f"Privacy budget of {escape(budget.table)} (delta {delta:g})"
    shown = Table("who", "epsilon spent", "counted", "of", "", "left", title=title)
    for one in everybody:
        limit, left = ("no limit", "") if one.limit is None else (f"{one.limit:g}", f"{one.left:.3g}")
        bar = ProgressBar(total=one.limit or 1, completed=min(one.counted, one.limit or 1), width=24)
        gauge = bar if one.limit else ""
        shown.add_row(escape(named(one)), f"{one.epsilon:.3g}", f"{one.counted:.3g}", limit, gauge, left)
    console.print(shown)
    console.print(COUNTED)
    console.print("See what a plan would cost with: wardround budget what-if")
