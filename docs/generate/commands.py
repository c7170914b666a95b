"""The command line, by typer's own generator, and its exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from typer.cli import get_docs_for_click

from datasites.cli import app
from datasites.cli.exits import Exit

_ABOUT = """
Every command of `wardround`, its arguments and options, and what its exit codes mean. Made from the code.

A data owner finds the same words with `wardround --help`, `wardround datasite --help` and so on.
`wardround --install-completion` makes the shell complete commands and options (bash, zsh, fish, PowerShell).
"""


def page() -> str:
    command = typer.main.get_command(app)
    told = get_docs_for_click(obj=command, ctx=typer.Context(command), name="wardround")
    codes = "".join(f"| {code.value} | {code.meaning} |\n" for code in Exit)
    exits = f"## Exit codes\n\n| code | meaning |\n|---|---|\n{codes}"
    return f"# Command line\n{_ABOUT}\n{exits}\n{told.replace('# `wardround`', '## `wardround`', 1)}"


def undocumented() -> list[str]:
    """Commands without help, and arguments and options without."""
    found = []
    for path, command in tree(typer.main.get_command(app), "wardround"):
        if not command.help:
            found.append(path)
        found += [f"{path} {_name(p)}" for p in command.params if not getattr(p, "help", None)]
    return found


def tree(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command below this one, with the words that call it."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from tree(below, f"{path} {name}")


def _name(parameter: Any) -> str:
    return str(parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.name.upper())
