"""The command `wardround`. One command group a file; what went wrong is told in one sentence, never a traceback."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from datasites.cli import audit, budget, ca, datasite, federation, monitoring, policy
from datasites.cli.doctor import doctor
from datasites.cli.exits import Exit
from datasites.cli.report import report
from datasites.cli.review import review
from policies.errors import WardroundError

app = typer.Typer(
    help="Wardround: outside researchers train on a hospital's patients' data without that data leaving.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(datasite.app, name="datasite")
app.command()(doctor)
app.command()(review)
app.command()(report)
app.command()(monitoring.metrics)
app.command()(monitoring.drift)
app.add_typer(audit.app, name="audit")
app.add_typer(budget.app, name="budget")
app.add_typer(policy.app, name="policy")
app.add_typer(federation.app, name="federation")
app.add_typer(ca.app, name="ca")


@app.callback()
def _root() -> None:
    """Keeps the groups apart from each other."""


def main() -> None:
    """The entry point of the command."""
    try:
        app(standalone_mode=True)
    except WardroundError as error:
        console = Console(stderr=True, highlight=False)
        console.print("[bold red]Error:[/] ", end="")
        console.print(error.message, markup=False)
        if error.hint:
            console.print(f"[dim]{'What to do:'}[/] ", end="")
            console.print(error.hint, markup=False)
        sys.exit(Exit.of(error))
